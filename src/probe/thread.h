#ifndef TCPKI_PROBE_THREAD_H
#define TCPKI_PROBE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/*
** Starts a thread that takes no signal: those of the host stay with the threads of the host.
** SIGPIPE, which a write raises in the thread that writes, stays pending there until it ends.
*/
bool thread_start(pthread_t *thread, void *(*run)(void *argument), void *argument);

#endif
