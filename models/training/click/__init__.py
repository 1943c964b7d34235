"""The click network: an encoder sees the photo once, a decoder answers clicks and boxes."""
