/* likeness serve (commands.h): predict as a service over HTTP, with a page for browsers. */
#include "launch/serve/server.h"

#include "base/thread.h"
#include "launch/command/align.h"
#include "launch/command/commands.h"

static const lk_option option_table[] = {
    {LK_OPTION_PATH, "model", "MODEL", "the encoder: a run, a checkpoint or a .safetensors file",
     LK_TARGET(lk_serve_options, service.model), .required = true},
    {LK_OPTION_PATH, "decoder", "MODEL", "the decoder that draws D(p); else the one that the run of MODEL was trained with",
     LK_TARGET(lk_serve_options, service.decoder)},
    LK_DEVICE_OPTION(lk_serve_options, service.device),
    {LK_OPTION_TEXT, "client", "COMMAND",
     "another game client, run by /bin/sh once a face: {params} becomes the path of a\n"
     "parameter file, {picture} the path where a square PNG or JPEG is expected",
     LK_TARGET(lk_serve_options, service.bench.client)},
    {LK_OPTION_REAL, "client-seconds", "S", "what COMMAND may take for one face",
     LK_TARGET(lk_serve_options, service.bench.client_seconds), .low = 0.01, .high = 3600},
    {LK_OPTION_PATH, "assets", "FOLDER", "MakeHuman's data folder, if the schema names assets of it (see render)",
     LK_TARGET(lk_serve_options, service.bench.assets)},
    {LK_OPTION_INT, "size", "S", "edge of the faces that the client draws for /v1/render",
     LK_TARGET(lk_serve_options, service.bench.size), .low = 32, .high = 1024},
    {LK_OPTION_INT, "threads", "N", "(the cores)", LK_TARGET(lk_serve_options, service.threads), .low = 1, .high = 256},
    {LK_OPTION_HEADING, .help = "Where it listens:"},
    {LK_OPTION_TEXT, "address", "ADDRESS", "where to listen, in numbers; the default is seen by this machine alone",
     LK_TARGET(lk_serve_options, address)},
    {LK_OPTION_INT, "port", "PORT", "0: any that is free", LK_TARGET(lk_serve_options, port), .high = 65535},
    {LK_OPTION_TEXT, "host", "NAME[,NAME...]", "names by which clients may call the server, beside its address and localhost",
     LK_TARGET(lk_serve_options, http.hosts)},
    {LK_OPTION_HEADING, .help = "Limits:"},
    {LK_OPTION_WHOLE, "max-body", "MB", "of a request", LK_TARGET(lk_serve_options, http.max_body), .low = 1, .high = 200,
     .unit = 1 << 20},
    {LK_OPTION_WHOLE, "max-pixels", "MP", "of a photo, in megapixels", LK_TARGET(lk_serve_options, service.max_pixels), .low = 1,
     .high = 200, .unit = 1000000},
    {LK_OPTION_REAL, "seconds", "S", "for a client to send its request, to wait for a thread, to take the answer",
     LK_TARGET(lk_serve_options, http.seconds), .low = 0.1, .high = 3600},
    {LK_OPTION_INT, "connections", "N", "open at once; more are closed again", LK_TARGET(lk_serve_options, http.connections),
     .low = 1, .high = 100000},
    {LK_OPTION_INT, "queue", "N", "requests that wait for a thread; more get a 503", LK_TARGET(lk_serve_options, http.queue),
     .low = 1, .high = 100000},
    {LK_OPTION_HEADING, .help = "Photos that are refused:"},
    LK_ALIGN_RULES(lk_serve_options, service.bench.align, service.bench.landmarks),
    {0}};

static lk_status run(void *values, char **arguments, int count)
{
    lk_serve_options *o = values;
    (void)arguments;
    (void)count;
    if (o->service.threads == 0)
        o->service.threads = lk_core_count();
    return lk_serve(o);
}

const lk_command lk_command_serve = {
    .name = "serve",
    .summary = "predict over HTTP: photos in, parameters and pictures out, and a page for browsers",
    .usage = "--model RUN|CHECKPOINT|FILE [OPTIONS]",
    .about =
        "Takes photos over HTTP as likeness predict takes files: POST the bytes of a JPEG or PNG to /v1/predict and get the\n"
        "parameters of its face as JSON; POST parameters to /v1/render and get the client's face. / is a page with all\n"
        "that, /metrics is for Prometheus, docs/serve.md has the rest. Nothing is stored. Standard output names the URL\n"
        "when it answers. TERM ends it after what is in flight.",
    .options = option_table,
    .size = sizeof(lk_serve_options),
    .defaults = &(lk_serve_options){.service = {.device = LK_ON_CPU,
                                                .max_pixels = 50000000,
                                                .bench = {.align = LK_ALIGN_DEFAULTS, .size = 256, .client_seconds = 30}},
                                    .http = {.max_body = 20 << 20, .seconds = 10, .connections = 256, .queue = 64},
                                    .address = "127.0.0.1",
                                    .port = 8080},
    .run = run};
