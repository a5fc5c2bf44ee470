#include "launch/serve/workbench.h"

#include "base/file.h"
#include "base/log.h"
#include "dataset/client/client.h"
#include "dataset/client/other.h"
#include "dataset/parameters.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct lk_tools {
    lk_workbench *bench;
    int number;
    bool taken;
    int64_t bytes;
    lk_aligner *aligner;
    lk_renderer *small, *large;
};

struct lk_workbench {
    lk_workbench_options options;
    const lk_schema *schema;
    lk_face_model *model;
    lk_client *client;         /* the built-in one; NULL: another, or none */
    char folder[LK_PATH_SIZE]; /* for files that live as long as a request; "": not made */
    lk_tools *sets;
    pthread_mutex_t lock;
    pthread_cond_t given;
    int64_t bytes; /* that the taken sets asked for */
};

/* ---- opening ---- */

static lk_status make_folder(lk_workbench *b)
{
    const char *parent = getenv("TMPDIR");
    char path[LK_PATH_SIZE];
    LK_TRY(lk_path_join(path, parent && *parent ? parent : "/tmp", "likeness-serve-XXXXXX"));
    if (!mkdtemp(path))
        return lk_fail_io("make the folder", path, errno, 0);
    memcpy(b->folder, path, sizeof path);
    return LK_OK;
}

static lk_status open_client(lk_workbench *b)
{
    if (b->options.client)
        return lk_other_client_check(b->options.client);
    if (lk_client_open_assets(NULL, b->options.assets, b->schema, &b->client) != LK_OK)
        lk_info("no client's faces: %s; --client names another client", lk_error_text());
    return LK_OK;
}

static lk_status open_set(lk_workbench *b, int number)
{
    lk_tools *tools = &b->sets[number];
    *tools = (lk_tools){.bench = b, .number = number};
    LK_TRY(lk_aligner_create(b->model, &b->options.align, &tools->aligner));
    if (!b->client)
        return LK_OK;
    LK_TRY(lk_renderer_create(b->client, b->options.align.size, &tools->small));
    return lk_renderer_create(b->client, b->options.size, &tools->large);
}

lk_status lk_workbench_open(const lk_workbench_options *options, const lk_schema *schema, lk_workbench **out)
{
    *out = NULL;
    lk_workbench *b = calloc(1, sizeof *b);
    if (!b)
        return lk_fail(LK_INTERNAL, "out of memory");
    b->options = *options;
    b->schema = schema;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->given, NULL);
    lk_status status;
    LK_TRY_OR(failed, open_client(b));
    LK_TRY_OR(failed, make_folder(b));
    LK_TRY_OR(failed, lk_face_model_open(options->landmarks, &b->model));
    b->sets = calloc((size_t)options->sets, sizeof *b->sets);
    if (!b->sets) {
        status = lk_fail(LK_INTERNAL, "out of memory for %d threads", options->sets);
        goto failed;
    }
    for (int i = 0; i < options->sets; i++)
        LK_TRY_OR(failed, open_set(b, i));
    *out = b;
    return LK_OK;
failed:;
    lk_error error;
    lk_error_take(&error, status);
    lk_workbench_close(b);
    return lk_error_put(&error);
}

void lk_workbench_close(lk_workbench *b)
{
    if (!b)
        return;
    for (int i = 0; b->sets && i < b->options.sets; i++) {
        lk_aligner_free(b->sets[i].aligner);
        lk_renderer_free(b->sets[i].small);
        lk_renderer_free(b->sets[i].large);
    }
    free(b->sets);
    lk_face_model_close(b->model);
    lk_client_close(b->client);
    if (b->folder[0] && lk_remove_tree(b->folder) != LK_OK)
        lk_warn("%s", lk_error_text());
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->given);
    free(b);
}

bool lk_workbench_can_draw(const lk_workbench *b)
{
    return b->client || b->options.client;
}

/* ---- taking and giving ---- */

static lk_tools *find_free(const lk_workbench *b, int64_t bytes)
{
    if (b->bytes > 0 && bytes > LK_WORKBENCH_BYTES - b->bytes)
        return NULL;
    for (int i = 0; i < b->options.sets; i++)
        if (!b->sets[i].taken)
            return &b->sets[i];
    return NULL;
}

lk_tools *lk_workbench_take(lk_workbench *b, int64_t bytes)
{
    lk_tools *tools;
    pthread_mutex_lock(&b->lock);
    while (!(tools = find_free(b, bytes)))
        pthread_cond_wait(&b->given, &b->lock);
    tools->taken = true;
    tools->bytes = bytes;
    b->bytes += bytes;
    pthread_mutex_unlock(&b->lock);
    return tools;
}

void lk_workbench_give(lk_workbench *b, lk_tools *tools)
{
    pthread_mutex_lock(&b->lock);
    tools->taken = false;
    b->bytes -= tools->bytes;
    pthread_cond_broadcast(&b->given); /* who waits for bytes may not be who could go on */
    pthread_mutex_unlock(&b->lock);
}

lk_aligner *lk_tools_aligner(const lk_tools *tools)
{
    return tools->aligner;
}

/* ---- drawing and writing ---- */

/* A file that this set alone uses. */
static lk_status path_of(const lk_tools *tools, const char *ending, char out[LK_PATH_SIZE])
{
    char name[64];
    snprintf(name, sizeof name, "%d%s", tools->number, ending);
    return lk_path_join(out, tools->bench->folder, name);
}

static lk_status draw_by_other_client(lk_tools *tools, int size, const float *continuous, const uint8_t *discrete,
                                      uint8_t *pixels)
{
    const lk_workbench *b = tools->bench;
    char params[LK_PATH_SIZE], picture[LK_PATH_SIZE];
    lk_image image = {0};
    LK_TRY(path_of(tools, ".json", params));
    LK_TRY(path_of(tools, ".png", picture));
    LK_TRY(lk_parameters_save(b->schema, params, continuous, discrete));
    lk_status status = lk_other_client_draw(b->options.client, b->options.client_seconds, "a request", params, picture, &image);
    if (status == LK_OK)
        status = lk_resize(&image, size, pixels);
    lk_image_free(&image);
    if (unlink(params) != 0 && status == LK_OK)
        status = lk_fail_io("remove", params, errno, 0);
    return status;
}

lk_status lk_tools_draw(lk_tools *tools, bool large, const float *continuous, const uint8_t *discrete, uint8_t *pixels)
{
    const lk_workbench *b = tools->bench;
    if (b->options.client)
        return draw_by_other_client(tools, large ? b->options.size : b->options.align.size, continuous, discrete, pixels);
    if (!b->client)
        return lk_fail(LK_USAGE, "there is no client to draw the face");
    return lk_render(large ? tools->large : tools->small, continuous, discrete, LK_CANONICAL, 0, pixels);
}

lk_status lk_tools_mhm(lk_tools *tools, const float *continuous, const uint8_t *discrete, char **text, size_t *size)
{
    char path[LK_PATH_SIZE];
    *text = NULL;
    LK_TRY(path_of(tools, ".mhm", path));
    LK_TRY(lk_parameters_save(tools->bench->schema, path, continuous, discrete));
    lk_status status = lk_read_file(path, LK_PARAMETERS_BYTES, text, size);
    if (status == LK_OK && (status = lk_remove_file(path)) != LK_OK) {
        free(*text);
        *text = NULL;
    }
    return status;
}
