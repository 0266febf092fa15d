#include "errand.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "thread.h"

/* How long one that nobody waits for any more may go on waiting. */
static const double SLICE_SECONDS = 0.01;

struct errand {
    pthread_t thread;
    bool started;
    waker done;
    atomic_bool ended; /* by whoever started it */
    rpc_channel *channel;
    double seconds;
    bool is_question;
    temporal_method method;
    char *subject;
    rpc_state state;
    bool answered;
    temporal_answer answer;
};

static void wait_for_connection(errand *running) {
    double deadline = clock_now() + running->seconds;
    double left = running->seconds;
    do {
        running->state = rpc_wait(running->channel, left < SLICE_SECONDS ? left : SLICE_SECONDS);
        left = deadline - clock_now();
    } while (running->state == RPC_CONNECTING && left > 0 && !atomic_load(&running->ended));
}

static void *run(void *argument) {
    errand *running = argument;
    if (running->is_question) {
        running->answered = temporal_ask(running->channel, running->method, running->subject,
                                         running->seconds, &running->answer);
    } else {
        wait_for_connection(running);
    }
    waker_wake(&running->done);
    return NULL;
}

static errand *create(rpc_channel *channel, double seconds) {
    errand *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->done = (waker)WAKER_CLOSED;
        made->channel = channel;
        made->seconds = seconds;
        atomic_init(&made->ended, false);
    }
    return made;
}

static errand *start(errand *made) {
    made->started = waker_open(&made->done) && thread_start(&made->thread, run, made);
    if (!made->started) {
        errand_end(made);
        return NULL;
    }
    return made;
}

errand *errand_wait(rpc_channel *channel, double seconds) {
    errand *made = create(channel, seconds);
    return made != NULL ? start(made) : NULL;
}

errand *errand_ask(rpc_channel *channel, temporal_method method, const char *subject,
                   double seconds) {
    errand *made = create(channel, seconds);
    if (made == NULL) {
        return NULL;
    }
    made->is_question = true;
    made->method = method;
    made->subject = subject != NULL ? strdup(subject) : NULL;
    if (subject != NULL && made->subject == NULL) {
        errand_end(made);
        return NULL;
    }
    return start(made);
}

const waker *errand_done(const errand *running) {
    return &running->done;
}

bool errand_is_question(const errand *running) {
    return running->is_question;
}

rpc_state errand_state(const errand *over) {
    return over->state;
}

const temporal_answer *errand_answer(const errand *over) {
    return over->answered ? &over->answer : NULL;
}

void errand_end(errand *running) {
    if (running == NULL) {
        return;
    }
    atomic_store(&running->ended, true);
    if (running->started) {
        (void)pthread_join(running->thread, NULL);
    }
    if (running->answered) {
        temporal_answer_free(&running->answer);
    }
    waker_close(&running->done);
    free(running->subject);
    free(running);
}
