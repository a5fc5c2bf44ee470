#include "dataset/unfinished.h"

#include "base/file.h"

static const char NAME[] = "unfinished";

lk_status lk_unfinished_begin(const char *folder)
{
    static const char text[] = "This folder is being written, or that was interrupted: not all of it is there.\n";
    char path[LK_PATH_SIZE];
    LK_TRY(lk_path_join(path, folder, NAME));
    return lk_write_file(path, text, sizeof text - 1);
}

lk_status lk_unfinished_end(const char *folder)
{
    char path[LK_PATH_SIZE];
    LK_TRY(lk_path_join(path, folder, NAME));
    LK_TRY(lk_remove_file(path));
    return lk_sync_folder(folder);
}

lk_status lk_unfinished_refuse(const char *folder)
{
    char path[LK_PATH_SIZE];
    lk_path_kind kind;
    LK_TRY(lk_path_join(path, folder, NAME));
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return LK_OK;
    return lk_fail(LK_BAD_DATA,
                   "%s: not all of it is there: what writes it is still at work, or was interrupted; wait, or run it again (pack "
                   "with --resume, render with --force), or remove %s to take what is there",
                   folder, path);
}
