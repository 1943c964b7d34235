# The page, and all commands, in a container without root; docs/docker.md says how to run it.
FROM python:3.13-slim AS build
ARG EXTRAS=""
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY models/cards models/cards
COPY models/weights models/weights
COPY segment2inpaint segment2inpaint
RUN python -m venv /opt/segment2inpaint
RUN /opt/segment2inpaint/bin/pip install --no-cache-dir -c constraints.txt ".${EXTRAS}"

FROM python:3.13-slim
RUN useradd --create-home --uid 1000 photographer \
    && install --directory --owner photographer /photos /home/photographer/.cache
COPY --from=build /opt/segment2inpaint /opt/segment2inpaint
ENV PATH=/opt/segment2inpaint/bin:$PATH
USER photographer
WORKDIR /photos
EXPOSE 8808
ENTRYPOINT ["segment2inpaint"]
CMD ["web", "--host", "0.0.0.0", "--token", "auto", "--no-open"]
