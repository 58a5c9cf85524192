/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - spec_runner: the drivers' own tests, through futures.
 *
 *   spec_runner --uri URI [--mode poll|wait|then|mixed] [--jobs N]
 *               [--driver stator|raw] [--transport stator|driver]
 *               [--exclusions FILE] PATH...
 *
 * Each job takes the next file when it is through with its own.  A file that
 * meddles with the server (fail points) runs while no other does. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/spec/client.h"
#include "tests/spec/exclusions.h"
#include "tests/spec/file.h"
#include "tests/spec/files.h"
#include "tests/spec/loop.h"
#include "tests/spec/server.h"
#include "tests/spec/setup.h"

static const char usage[] =
    "usage: spec_runner --uri URI [option...] PATH...\n"
    "\n"
    "Runs test files of the unified format, and folders of them.\n"
    "\n"
    "  --uri URI            the server (default: MONGODB_URI)\n"
    "  --driver stator|raw  through Stator (default), or straight on "
    "libmongoc\n"
    "  --mode MODE          how futures are awaited: poll, wait, then, or\n"
    "                       mixed (default), which takes them in turn\n"
    "  --transport WHOSE    whose streams Stator uses: stator (default) or\n"
    "                       driver\n"
    "  --jobs N             N files at a time, 1 to 64 (default 1)\n"
    "  --exclusions FILE    tests known to fail, or none (default:\n"
    "                       tests/spec/exclusions.txt of the project that the\n"
    "                       program was built in)\n"
    "  --help               this text\n"
    "\n"
    "Exit code: 0 all passed or skipped, 1 some failed, 2 wrong use or no "
    "server.\n";

typedef struct work {
    setup_t setup;
    server_t server;
    exclusions_t exclusions;
    const char *list; /* of exclusions; NULL: the project's own */
    files_t files;
    pthread_mutex_t lock; /* of `next`, of the output and of the sums */
    pthread_rwlock_t alone;
    size_t next;
    int passed, failed, skipped;
} work_t;

typedef struct job {
    work_t *work;
    int number;
    pthread_t thread;
} job_t;

/* ---- telling --------------------------------------------------------- */

static void print(const file_t *file)
{
    const told_t *told;

    printf("%s: %d passed, %d failed, %d skipped%s\n", file->path,
           file->passed, file->failed, file->skipped,
           file->must_fail ? " (must fail, and so passes)" : "");
    for (told = file->told; told != NULL; told = told->next)
        printf("  %s  %s%s%s\n",
               told->verdict.kind == VERDICT_FAILED ? "FAIL" : "skip",
               told->test == NULL ? "" : told->test,
               told->test == NULL ? "" : ": ", told->verdict.text);
    fflush(stdout);
}

static void finish(work_t *work, const file_t *file)
{
    pthread_mutex_lock(&work->lock);
    print(file);
    work->passed += file->passed;
    work->failed += file->failed;
    work->skipped += file->skipped;
    pthread_mutex_unlock(&work->lock);
}

/* ---- jobs ------------------------------------------------------------ */

static file_t *take(work_t *work)
{
    file_t *file = NULL;

    pthread_mutex_lock(&work->lock);
    if (work->next < work->files.n)
        file = &work->files.list[work->next++];
    pthread_mutex_unlock(&work->lock);
    return file;
}

static void *run_job(void *arg)
{
    job_t *job = arg;
    work_t *work = job->work;
    char suffix[16] = "";
    mongoc_client_t *internal;
    bson_error_t error;
    file_t *file;

    internal = server_client(work->setup.uri, &error);
    if (work->setup.jobs > 1)
        snprintf(suffix, sizeof suffix, "-job%d", job->number);
    while ((file = take(work)) != NULL) {
        if (file_is_selfish(file))
            pthread_rwlock_wrlock(&work->alone);
        else
            pthread_rwlock_rdlock(&work->alone);
        file_run(file, &work->setup, &work->server, internal,
                 &work->exclusions, suffix[0] == '\0' ? NULL : suffix);
        pthread_rwlock_unlock(&work->alone);
        finish(work, file);
    }
    mongoc_client_destroy(internal);
    return NULL;
}

static bool run_jobs(work_t *work)
{
    job_t *jobs = bson_malloc0((size_t)work->setup.jobs * sizeof jobs[0]);
    int i, started = 0;

    for (i = 0; i < work->setup.jobs; i++) {
        jobs[i].work = work;
        jobs[i].number = i + 1;
        if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]) != 0)
            break;
        started++;
    }
    for (i = 0; i < started; i++)
        pthread_join(jobs[i].thread, NULL);
    bson_free(jobs);
    if (started == 0)
        fprintf(stderr, "spec_runner: no thread to be had\n");
    return started > 0;
}

/* ---- options --------------------------------------------------------- */

static bool choose(const char *option, const char *word,
                   const char *const *words, int *choice)
{
    for (*choice = 0; words[*choice] != NULL; (*choice)++)
        if (strcmp(words[*choice], word) == 0)
            return true;
    fprintf(stderr, "spec_runner: --%s: \"%s\" is none of", option, word);
    for (; *words != NULL; words++)
        fprintf(stderr, " %s", *words);
    fprintf(stderr, "\n");
    return false;
}

static bool read_jobs(const char *word, int *jobs)
{
    char *end;
    long n;

    errno = 0;
    n = strtol(word, &end, 10);
    if (errno != 0 || *word == '\0' || *end != '\0' || n < 1 || n > 64) {
        fprintf(stderr, "spec_runner: --jobs: \"%s\" is not 1 to 64\n", word);
        return false;
    }
    *jobs = (int)n;
    return true;
}

static bool read_option(work_t *work, int option, const char *word)
{
    static const char *const drivers[] = {"stator", "raw", NULL};
    static const char *const modes[] = {"poll", "wait", "then", "mixed",
                                        NULL};
    static const char *const transports[] = {"stator", "driver", NULL};
    int choice;

    switch (option) {
    case 'u':
        work->setup.uri = word;
        return true;
    case 'd':
        if (!choose("driver", word, drivers, &choice))
            return false;
        work->setup.driver = (driver_t)choice;
        return true;
    case 'm':
        if (!choose("mode", word, modes, &choice))
            return false;
        work->setup.mode = (wait_mode_t)choice;
        return true;
    case 't':
        work->setup.transport = word;
        return choose("transport", word, transports, &choice);
    case 'j':
        return read_jobs(word, &work->setup.jobs);
    case 'x':
        work->list = word;
        return true;
    case 'h':
        fputs(usage, stdout);
        exit(0);
    default:
        fputs("spec_runner: see --help\n", stderr);
        return false;
    }
}

/* build/tests/spec_runner and tests/spec/exclusions.txt belong together,
 * wherever the program is called from. */
static bool read_exclusions(work_t *work)
{
    static const char list[] = "/../../tests/spec/exclusions.txt";
    char path[PATH_MAX + sizeof list];
    ssize_t n;

    if (work->list != NULL)
        return strcmp(work->list, "none") == 0 ||
               exclusions_read(&work->exclusions, work->list);
    n = readlink("/proc/self/exe", path, PATH_MAX);
    if (n < 0)
        return true;
    path[n] = '\0';
    *strrchr(path, '/') = '\0';
    memcpy(path + strlen(path), list, sizeof list);
    return access(path, R_OK) != 0 ||
           exclusions_read(&work->exclusions, path);
}

static bool read_options(work_t *work, int argc, char **argv)
{
    static const struct option options[] = {
        {"uri", required_argument, NULL, 'u'},
        {"driver", required_argument, NULL, 'd'},
        {"mode", required_argument, NULL, 'm'},
        {"transport", required_argument, NULL, 't'},
        {"jobs", required_argument, NULL, 'j'},
        {"exclusions", required_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'},
        {0}};
    int option;

    work->setup.uri = getenv("MONGODB_URI");
    work->setup.mode = MODE_MIXED;
    work->setup.transport = "stator";
    work->setup.jobs = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!read_option(work, option, optarg))
            return false;
    if (!read_exclusions(work))
        return false;
    if (work->setup.uri == NULL) {
        fputs("spec_runner: no --uri, and MONGODB_URI is not set\n", stderr);
        return false;
    }
    if (optind == argc) {
        fputs("spec_runner: no PATH: see --help\n", stderr);
        return false;
    }
    for (; optind < argc; optind++)
        if (!files_find(&work->files, argv[optind]))
            return false;
    return true;
}

/* ---- the whole ------------------------------------------------------- */

static bool meet_server(work_t *work)
{
    mongoc_client_t *internal;
    bson_error_t error;
    bool fine;

    internal = server_client(work->setup.uri, &error);
    fine = internal != NULL && server_ask(&work->server, work->setup.uri,
                                          internal, &error);
    memcpy(work->setup.set_name, work->server.set_name,
           sizeof work->setup.set_name);
    if (fine)
        server_kill_sessions(internal);
    else
        fprintf(stderr, "spec_runner: %s: %s\n", work->setup.uri,
                error.message);
    mongoc_client_destroy(internal);
    return fine;
}

static int run(work_t *work)
{
    bson_error_t error;
    loop_t loop;
    bool fine;

    if (!loop_start(&loop, &error)) {
        fprintf(stderr, "spec_runner: %s\n", error.message);
        return 2;
    }
    work->setup.dispatcher = loop.dispatcher;
    fine = run_jobs(work);
    work->failed += client_wait_all();
    loop_stop(&loop);
    if (!fine)
        return 2;
    printf("%d passed, %d failed, %d skipped\n", work->passed, work->failed,
           work->skipped);
    return work->failed > 0;
}

int main(int argc, char **argv)
{
    work_t work = {.passed = 0};
    int code = 2;

    mongoc_init();
    pthread_mutex_init(&work.lock, NULL);
    pthread_rwlock_init(&work.alone, NULL);
    if (read_options(&work, argc, argv) && meet_server(&work))
        code = run(&work);
    files_clear(&work.files);
    exclusions_clear(&work.exclusions);
    pthread_rwlock_destroy(&work.alone);
    pthread_mutex_destroy(&work.lock);
    mongoc_cleanup();
    return code;
}
