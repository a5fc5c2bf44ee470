/* Threads: starting one, and a loop over independent items on several. */
#ifndef LK_BASE_THREAD_H
#define LK_BASE_THREAD_H

#include "base/error.h"

#include <pthread.h>
#include <stdint.h>

/* Starts a thread that runs run(context) with all signals blocked: signals are the main thread's to handle. `name`, of at most
 * 15 characters, is what debuggers and top -H show. LK_INTERNAL, "cannot start the NAME thread" and why, if the system has
 * none to give. */
lk_status lk_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *context);

/* Calls item(context, i, worker) for i in 0..count-1 on `threads` threads (the calling one included), in no set order;
 * `worker` is 0..threads-1 and names the thread, for scratch memory. After a failure no further item starts; the failure of
 * the lowest failed item is returned with its sentence. */
typedef lk_status lk_item_function(void *context, int64_t i, int worker);
lk_status lk_parallel_for(int threads, int64_t count, lk_item_function *item, void *context);

/* Cores this process may run on. */
int lk_core_count(void);

#endif
