/* Threads: a loop over independent items on several threads. */
#ifndef LK_BASE_THREAD_H
#define LK_BASE_THREAD_H

#include "base/error.h"

#include <stdint.h>

/* Calls item(context, i, worker) for i in 0..count-1 on `threads` threads (the calling one included), in no set order;
 * `worker` is 0..threads-1 and names the thread, for scratch memory. After a failure no further item starts; the failure of
 * the lowest failed item is returned with its sentence. */
typedef lk_status lk_item_function(void *context, int64_t i, int worker);
lk_status lk_parallel_for(int threads, int64_t count, lk_item_function *item, void *context);

/* Cores this process may run on. */
int lk_core_count(void);

#endif
