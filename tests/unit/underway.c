/* Writes that are under way in other threads, by which no session begins. */
#include "core/underway.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>

static sem_t begun, go_on;

static void *write_slowly(void *argument)
{
    bool counted = underway_begin(*(int *)argument);
    sem_post(&begun);
    sem_wait(&go_on);
    underway_end(counted);
    return NULL;
}

/* Whether a write to that descriptor in another thread is seen while it is under way, and no more when it is over. */
static bool is_seen(int fd)
{
    pthread_t thread;
    sem_init(&begun, 0, 0);
    sem_init(&go_on, 0, 0);
    pthread_create(&thread, NULL, write_slowly, &fd);
    sem_wait(&begun);
    bool seen = underway_any();
    sem_post(&go_on);
    pthread_join(thread, NULL);
    cr_expect_not(underway_any());
    return seen;
}

Test(underway, a_write_of_another_thread_is_seen_until_it_is_over)
{
    owned_set(7, true);
    cr_expect(is_seen(7));
}

Test(underway, one_to_what_is_no_destination_is_not_counted)
{
    cr_expect_not(is_seen(8), "a thread that waits at a pipe hinders nobody");
}

Test(underway, a_process_of_one_thread_counts_nothing)
{
    owned_set(7, true);
    underway_start();
    cr_expect_not(*underway_single && underway_begin(7));
}
