#include "trainer/record/events.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "trainer/record/events.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* RECORD_LIMIT bounds what a damaged length can allocate; a sheet of sample pictures has about one MB. */
enum { HEAD_SIZE = 12, TAIL_SIZE = 4, RECORD_LIMIT = 1 << 28 };

static const char name_prefix[] = "events.out.tfevents.";

struct lk_events {
    char path[LK_PATH_SIZE];
    int fd;
    lk_backlog backlog;
};

uint32_t lk_crc32c(const void *data, size_t size)
{
    /* four bits at a time; the polynomial is 0x1EDC6F41, reflected 0x82F63B78 */
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *bytes = data;
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* The mask keeps the CRC of data that holds CRCs from being trivial. */
static uint32_t masked_crc(const void *data, size_t size)
{
    uint32_t crc = lk_crc32c(data, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- writing ---- */

static lk_status write_event(lk_events *events, Lk__Events__Event *event)
{
    event->wall_time = lk_wall_clock();
    uint64_t size = lk__events__event__get_packed_size(event);
    uint8_t *record = malloc(HEAD_SIZE + size + TAIL_SIZE);
    if (!record)
        return lk_fail(LK_INTERNAL, "%s: out of memory for an event of %llu bytes", events->path, (unsigned long long)size);
    memcpy(record, &size, 8);
    uint32_t crc = masked_crc(record, 8);
    memcpy(record + 8, &crc, 4);
    lk__events__event__pack(event, record + HEAD_SIZE);
    crc = masked_crc(record + HEAD_SIZE, size);
    memcpy(record + HEAD_SIZE + size, &crc, 4);
    lk_status status = lk_append_or_keep(events->fd, events->path, &events->backlog, record, HEAD_SIZE + size + TAIL_SIZE);
    free(record);
    return status;
}

/* Now, or one second after the newest event file of the folder: clocks of other hosts may be ahead. */
static lk_status choose_time(const char *folder, long long *time)
{
    lk_names names;
    LK_TRY(lk_list_folder(folder, "", &names));
    *time = (long long)lk_wall_clock();
    for (size_t i = 0; i < names.count; i++) {
        if (strncmp(names.names[i], name_prefix, sizeof name_prefix - 1) != 0)
            continue;
        long long other = atoll(names.names[i] + sizeof name_prefix - 1);
        if (other >= *time)
            *time = other + 1;
    }
    lk_names_free(&names);
    return LK_OK;
}

static lk_status create_file(const char *folder, lk_events *events)
{
    long long time;
    char host[256] = "", name[LK_PATH_SIZE];
    LK_TRY(choose_time(folder, &time));
    gethostname(host, sizeof host - 1);
    snprintf(name, sizeof name, "%s%010lld.%s", name_prefix, time, host);
    LK_TRY(lk_path_join(events->path, folder, name));
    events->fd = open(events->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (events->fd < 0)
        return lk_fail_io("create", events->path, errno, 0);
    return LK_OK;
}

lk_status lk_events_open(const char *folder, lk_events **out)
{
    *out = NULL;
    lk_events *events = calloc(1, sizeof *events);
    if (!events)
        return lk_fail(LK_INTERNAL, "%s: out of memory", folder);
    events->fd = -1;
    char version[] = "brain.Event:2";
    Lk__Events__Event event = LK__EVENTS__EVENT__INIT;
    event.what_case = LK__EVENTS__EVENT__WHAT_FILE_VERSION;
    event.file_version = version;
    lk_status status = create_file(folder, events);
    if (status == LK_OK)
        status = write_event(events, &event);
    if (status != LK_OK)
        lk_events_close(events);
    else
        *out = events;
    return status;
}

void lk_events_close(lk_events *events)
{
    if (!events)
        return;
    if (events->fd >= 0)
        close(events->fd);
    lk_backlog_free(&events->backlog);
    free(events);
}

const char *lk_events_path(const lk_events *events)
{
    return events->path;
}

static lk_status write_summary(lk_events *events, int64_t step, Lk__Events__Summary__Value **values, size_t count)
{
    Lk__Events__Summary summary = LK__EVENTS__SUMMARY__INIT;
    summary.n_value = count;
    summary.value = values;
    Lk__Events__Event event = LK__EVENTS__EVENT__INIT;
    event.step = step;
    event.what_case = LK__EVENTS__EVENT__WHAT_SUMMARY;
    event.summary = &summary;
    return write_event(events, &event);
}

lk_status lk_events_scalars(lk_events *events, int64_t step, const lk_event_scalar *scalars, size_t count)
{
    lk_status status;
    Lk__Events__Summary__Value *values = calloc(count + 1, sizeof *values);
    Lk__Events__Summary__Value **list = calloc(count + 1, sizeof *list);
    if (!values || !list) {
        status = lk_fail(LK_INTERNAL, "%s: out of memory", events->path);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        lk__events__summary__value__init(&values[i]);
        values[i].tag = (char *)scalars[i].tag; /* only read */
        values[i].value_case = LK__EVENTS__SUMMARY__VALUE__VALUE_SIMPLE_VALUE;
        values[i].simple_value = (float)scalars[i].value;
        list[i] = &values[i];
    }
    status = write_summary(events, step, list, count);
done:
    free(values);
    free(list);
    return status;
}

lk_status lk_events_png(lk_events *events, int64_t step, const char *tag, const void *png, size_t size, int width, int height)
{
    Lk__Events__Summary__Image image = LK__EVENTS__SUMMARY__IMAGE__INIT;
    image.width = width;
    image.height = height;
    image.colorspace = 3;
    image.encoded_image_string = (ProtobufCBinaryData){.len = size, .data = (uint8_t *)png}; /* only read */
    Lk__Events__Summary__Value value = LK__EVENTS__SUMMARY__VALUE__INIT;
    value.tag = (char *)tag;
    value.value_case = LK__EVENTS__SUMMARY__VALUE__VALUE_IMAGE;
    value.image = &image;
    Lk__Events__Summary__Value *list[] = {&value};
    return write_summary(events, step, list, 1);
}

/* ---- cutting ---- */

typedef enum record_kind { RECORD_WHOLE, RECORD_NONE, RECORD_TORN, RECORD_DAMAGED } record_kind;

/* Reads the next record, head and tail included, into *record, grown as needed. */
static record_kind read_record(FILE *in, uint8_t **record, size_t *room, size_t *size)
{
    uint8_t head[HEAD_SIZE];
    uint64_t length;
    uint32_t crc;
    size_t got = fread(head, 1, sizeof head, in);
    if (got < sizeof head)
        return got == 0 ? RECORD_NONE : RECORD_TORN;
    memcpy(&length, head, 8);
    memcpy(&crc, head + 8, 4);
    if (crc != masked_crc(head, 8) || length > RECORD_LIMIT)
        return RECORD_DAMAGED;
    *size = HEAD_SIZE + length + TAIL_SIZE;
    if (*size > *room) {
        uint8_t *grown = realloc(*record, *size);
        if (!grown)
            return RECORD_DAMAGED;
        *record = grown;
        *room = *size;
    }
    memcpy(*record, head, sizeof head);
    if (fread(*record + HEAD_SIZE, 1, length + TAIL_SIZE, in) < length + TAIL_SIZE)
        return RECORD_TORN;
    memcpy(&crc, *record + HEAD_SIZE + length, 4);
    return crc == masked_crc(*record + HEAD_SIZE, length) ? RECORD_WHOLE : RECORD_DAMAGED;
}

typedef struct cut_result {
    size_t kept;  /* events other than the file's version */
    bool cut;     /* something went */
    bool damaged; /* what follows a damaged record cannot be read */
} cut_result;

static bool is_repeated(const Lk__Events__Event *event, const char *again)
{
    if (!again || event->what_case != LK__EVENTS__EVENT__WHAT_SUMMARY)
        return false;
    for (size_t i = 0; i < event->summary->n_value; i++) {
        const Lk__Events__Summary__Value *value = event->summary->value[i];
        if (value->value_case == LK__EVENTS__SUMMARY__VALUE__VALUE_IMAGE || strncmp(value->tag, again, strlen(again)) == 0)
            return true;
    }
    return false;
}

static cut_result copy_records(FILE *in, FILE *out, int64_t last_step, const char *again)
{
    cut_result result = {0};
    uint8_t *record = NULL;
    size_t room = 0, size = 0;
    record_kind kind;
    while ((kind = read_record(in, &record, &room, &size)) == RECORD_WHOLE) {
        Lk__Events__Event *event = lk__events__event__unpack(NULL, size - HEAD_SIZE - TAIL_SIZE, record + HEAD_SIZE);
        if (!event) {
            kind = RECORD_DAMAGED;
            break;
        }
        bool version = event->what_case == LK__EVENTS__EVENT__WHAT_FILE_VERSION;
        if (version || event->step < last_step || (event->step == last_step && !is_repeated(event, again))) {
            fwrite(record, 1, size, out);
            result.kept += !version;
        } else {
            result.cut = true;
        }
        lk__events__event__free_unpacked(event, NULL);
    }
    free(record);
    result.cut = result.cut || kind != RECORD_NONE;
    result.damaged = kind == RECORD_DAMAGED;
    return result;
}

static lk_status cut_file(const char *path, int64_t step, const char *again)
{
    FILE *in;
    LK_TRY(lk_open_stream(path, &in));
    lk_atomic_file out;
    lk_status status = lk_atomic_open(&out, path);
    if (status != LK_OK)
        goto done;
    errno = 0;
    cut_result result = copy_records(in, out.stream, step, again);
    int reason = errno ? errno : EIO;
    if (ferror(in)) {
        lk_atomic_abort(&out);
        status = lk_fail_io("read", path, reason, 0);
    } else if (result.kept == 0) {
        lk_atomic_abort(&out);
        status = lk_remove_file(path);
    } else if (result.cut) {
        status = lk_atomic_commit(&out);
    } else {
        lk_atomic_abort(&out);
    }
    if (status == LK_OK && result.damaged)
        lk_warn("%s: damaged; the events behind the damage are lost", path);
done:
    fclose(in);
    return status;
}

lk_status lk_events_cut_after(const char *folder, int64_t step, const char *again)
{
    static const char *const ours[] = {name_prefix};
    lk_names names;
    LK_TRY(lk_sweep_temporaries(folder, ours, 1, true)); /* of a killed cut: TensorBoard would read them */
    LK_TRY(lk_list_folder(folder, "", &names));
    lk_status status = LK_OK;
    for (size_t i = 0; i < names.count && status == LK_OK; i++) {
        char path[LK_PATH_SIZE];
        if (strncmp(names.names[i], name_prefix, sizeof name_prefix - 1) != 0)
            continue;
        status = lk_path_join(path, folder, names.names[i]);
        if (status == LK_OK)
            status = cut_file(path, step, again);
    }
    lk_names_free(&names);
    return status;
}
