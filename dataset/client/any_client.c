#include "dataset/client/any_client.h"

#include "base/file.h"
#include "base/leftover.h"
#include "base/log.h"
#include "dataset/client/other.h"
#include "dataset/parameters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lk_any_client {
    const lk_schema *schema;
    lk_client_choice choice;
    char scratch[LK_PATH_SIZE]; /* folder of what another client reads and writes; "": none was made */
    int leftover;
    lk_client *built_in;
    int threads;
    lk_renderer **renderers; /* [threads] */
};

static lk_status open_built_in(lk_any_client *c)
{
    LK_TRY(lk_client_open_assets(NULL, c->choice.assets, c->schema, &c->built_in));
    c->renderers = calloc((size_t)c->threads, sizeof *c->renderers);
    if (!c->renderers)
        return lk_fail(LK_INTERNAL, "out of memory for %d threads", c->threads);
    for (int i = 0; i < c->threads; i++)
        LK_TRY(lk_renderer_create(c->built_in, c->choice.size, &c->renderers[i]));
    return LK_OK;
}

static lk_status open_other(lk_any_client *c)
{
    char path[LK_PATH_SIZE], folder[LK_PATH_SIZE];
    LK_TRY(lk_other_client_check(c->choice.command));
    LK_TRY(lk_path_join(path, c->choice.folder, "client"));
    LK_TRY(lk_temporary_name(path, folder));
    memcpy(c->scratch, folder, sizeof folder);
    c->leftover = lk_leftover_path(folder);
    return lk_make_folder(folder);
}

lk_status lk_any_client_open(const lk_schema *schema, const lk_client_choice *choice, int threads, lk_any_client **out)
{
    *out = NULL;
    lk_any_client *c = calloc(1, sizeof *c);
    if (!c)
        return lk_fail(LK_INTERNAL, "out of memory for a client");
    *c = (lk_any_client){.schema = schema, .choice = *choice, .threads = threads};
    lk_status status = choice->command ? open_other(c) : open_built_in(c);
    if (status != LK_OK) {
        lk_error error;
        lk_error_take(&error, status);
        lk_any_client_close(c);
        return lk_error_put(&error);
    }
    *out = c;
    return LK_OK;
}

void lk_any_client_close(lk_any_client *c)
{
    if (!c)
        return;
    for (int i = 0; c->renderers && i < c->threads; i++)
        lk_renderer_free(c->renderers[i]);
    free(c->renderers);
    lk_client_close(c->built_in);
    if (c->scratch[0] && lk_remove_tree(c->scratch) != LK_OK)
        lk_warn("%s", lk_error_text());
    if (c->scratch[0])
        lk_leftover_forget(c->leftover);
    free(c);
}

const lk_client *lk_any_client_built_in(const lk_any_client *c)
{
    return c->built_in;
}

/* The picture's ending is .png, by which many programs choose what they write. */
static lk_status draw_by_command(const lk_any_client *c, const char *name, const char *params, const float *continuous,
                                 const uint8_t *discrete, lk_image *out)
{
    char file[LK_PATH_SIZE], own[LK_PATH_SIZE], picture[LK_PATH_SIZE];
    snprintf(file, sizeof file, "%s.json", name);
    LK_TRY(lk_path_join(own, c->scratch, file));
    snprintf(file, sizeof file, "%s.png", name);
    LK_TRY(lk_path_join(picture, c->scratch, file));
    if (!params)
        LK_TRY(lk_parameters_save(c->schema, own, continuous, discrete));
    lk_status status = lk_other_client_draw(c->choice.command, c->choice.seconds, name, params ? params : own, picture, out);
    if (status == LK_OK && !params)
        status = lk_remove_file(own);
    return status;
}

lk_status lk_any_client_draw(lk_any_client *c, int worker, const char *name, const char *params, const float *continuous,
                             const uint8_t *discrete, lk_image *out)
{
    *out = (lk_image){0};
    if (c->choice.command)
        return draw_by_command(c, name, params, continuous, discrete, out);
    LK_TRY(lk_image_allocate(c->choice.size, c->choice.size, out));
    lk_status status = lk_render(c->renderers[worker], continuous, discrete, LK_CANONICAL, 0, out->pixels);
    if (status != LK_OK)
        lk_image_free(out);
    return status;
}
