/* TensorBoard event files: scalars and pictures of a run, as `tensorboard --logdir` shows them.
 *
 * A run writes FOLDER/events.out.tfevents.TIME.HOST; a resumed run cuts what came after its checkpoint and goes on in a new
 * file, whose TIME is later than that of every file there (TensorBoard reads them in the order of their names). The file is
 * a row of TFRecords: u64 length, u32 masked CRC32C of the length, an Event (events.proto), u32 masked CRC32C of the Event;
 * all little-endian. Each record is one write, so that a kill tears at most the last.
 */
#ifndef LK_TRAINER_RECORD_EVENTS_H
#define LK_TRAINER_RECORD_EVENTS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* One thread at a time. The folder must exist. LK_IO. */
typedef struct lk_events lk_events;
lk_status lk_events_open(const char *folder, lk_events **out);
/* NULL is fine. */
void lk_events_close(lk_events *events);
const char *lk_events_path(const lk_events *events);

/* Tags are UTF-8; a slash groups them, as in "train/F". TensorBoard keeps float32. One record for all. */
typedef struct lk_event_scalar {
    const char *tag;
    double value;
} lk_event_scalar;
lk_status lk_events_scalars(lk_events *events, int64_t step, const lk_event_scalar *scalars, size_t count);

/* A picture: the bytes of an RGB PNG file and its size in pixels. */
lk_status lk_events_png(lk_events *events, int64_t step, const char *tag, const void *png, size_t size, int width, int height);

/* For resume, before lk_events_open: removes all events of a later step than `step` from the event files of a folder, those of
 * that step itself whose tag begins with `again` (NULL: none) and its pictures, which will be written again, and torn ends; a
 * file that then holds nothing is removed. Each file is rewritten atomically, or left alone if nothing goes. */
lk_status lk_events_cut_after(const char *folder, int64_t step, const char *again);

/* CRC-32C (Castagnoli) as TFRecords use it, before masking. */
uint32_t lk_crc32c(const void *data, size_t size);

#endif
