/* One-sided MPI between two ranks: rank 0 adds floats to rank 1's window and gets them back.
 *
 *   mpirun -n 2 mpi_rma CLIENT_CORE SERVER_CORE MILLISECONDS sparse|dense SIZE...
 *
 * sparse: SIZE sorted random elements of a window four times as long, through an indexed datatype that
 * was made before ("accumulate", "get") or is made in the timing ("accumulate_first", "get_first").
 * dense: SIZE contiguous bytes. Every operation ends with a flush, so its effect is at the target.
 * Each point is repeated for MILLISECONDS, at least three times; a core below 0 pins nothing.
 * Prints `name size median_ns p99_ns`, one line a point. Fails when the sums at the target are wrong.
 */
#define _GNU_SOURCE
#include <mpi.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENT, SERVER, ROUNDS_MAX = 100000, WARM_UP = 2 };

static MPI_Win window;
static float *numbers, *answer;
static int *places;

static void pin(int core) {
    if (core < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) perror("cannot pin");
}

static uint64_t draw(uint64_t *state) {
    uint64_t mixed = *state += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

/* `count` of the first `end` elements, ascending. */
static void draw_places(int count, int end) {
    uint64_t state = 7;
    int left = count;
    for (int element = 0; left > 0; element++) {
        if (draw(&state) % (uint64_t)(end - element) < (uint64_t)left) places[count - left--] = element;
    }
}

static MPI_Datatype place_type(int count) {
    MPI_Datatype type;
    MPI_Type_create_indexed_block(count, 1, places, MPI_FLOAT, &type);
    MPI_Type_commit(&type);
    return type;
}

/* One operation of `count` floats, with the given type at the target or one made here. */
static void operate(int is_get, int count, MPI_Datatype given) {
    MPI_Datatype type = given == MPI_DATATYPE_NULL ? place_type(count) : given;
    int target_count = type == MPI_FLOAT ? count : 1;
    if (is_get) {
        MPI_Get(answer, count, MPI_FLOAT, SERVER, 0, target_count, type, window);
    } else {
        MPI_Accumulate(numbers, count, MPI_FLOAT, SERVER, 0, target_count, type, MPI_SUM, window);
    }
    MPI_Win_flush(SERVER, window);
    if (given == MPI_DATATYPE_NULL) MPI_Type_free(&type);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Times one point; returns how many operations there were. */
static int measure(const char *name, long size, int is_get, int count, MPI_Datatype type, double seconds) {
    static double times[ROUNDS_MAX];
    for (int round = 0; round < WARM_UP; round++) operate(is_get, count, type);
    int rounds = 0;
    double begin = MPI_Wtime();
    while (rounds < ROUNDS_MAX && (rounds < 3 || MPI_Wtime() - begin < seconds)) {
        double start = MPI_Wtime();
        operate(is_get, count, type);
        times[rounds++] = (MPI_Wtime() - start) * 1e9;
    }
    qsort(times, (size_t)rounds, sizeof *times, ascending);
    printf("%s %ld %.1f %.1f\n", name, size, times[rounds / 2], times[(rounds * 99L) / 100]);
    return WARM_UP + rounds;
}

static int measure_size(int is_sparse, long size, int count, double seconds) {
    MPI_Datatype type = is_sparse ? place_type(count) : MPI_FLOAT;
    int added = measure("accumulate", size, 0, count, type, seconds);
    measure("get", size, 1, count, type, seconds);
    if (is_sparse) {
        added += measure("accumulate_first", size, 0, count, MPI_DATATYPE_NULL, seconds);
        measure("get_first", size, 1, count, MPI_DATATYPE_NULL, seconds);
        MPI_Type_free(&type);
    }
    return added;
}

/* Both ranks: a window for one size, the operations, and a look at the sums. */
static int run_size(int rank, int is_sparse, long size, double seconds) {
    int count = (int)(is_sparse ? size : size / (long)sizeof(float));
    int end = is_sparse ? 4 * count : count;
    float *base;
    MPI_Win_allocate(rank == SERVER ? (MPI_Aint)end * (MPI_Aint)sizeof(float) : 0, sizeof(float), MPI_INFO_NULL,
                     MPI_COMM_WORLD, &base, &window);
    if (rank == SERVER) {
        MPI_Win_lock(MPI_LOCK_EXCLUSIVE, SERVER, 0, window);
        memset(base, 0, (size_t)end * sizeof(float));
        MPI_Win_unlock(SERVER, window);
    }
    numbers = malloc((size_t)count * sizeof *numbers);
    answer = malloc((size_t)count * sizeof *answer);
    places = malloc((size_t)count * sizeof *places);
    for (int i = 0; i < count; i++) numbers[i] = 0.5f;
    draw_places(count, end);
    MPI_Barrier(MPI_COMM_WORLD);
    int added = 0;
    if (rank == CLIENT) {
        MPI_Win_lock(MPI_LOCK_SHARED, SERVER, 0, window);
        added = measure_size(is_sparse, size, count, seconds);
        MPI_Win_unlock(SERVER, window);
    }
    MPI_Bcast(&added, 1, MPI_INT, CLIENT, MPI_COMM_WORLD);
    int wrong = 0;
    if (rank == SERVER) {
        MPI_Win_lock(MPI_LOCK_SHARED, SERVER, 0, window);
        for (int i = 0; i < count; i++) wrong += base[places[i]] != 0.5f * (float)added;
        MPI_Win_unlock(SERVER, window);
        if (wrong > 0) fprintf(stderr, "%d of %d sums are wrong\n", wrong, count);
    }
    free(numbers), free(answer), free(places);
    MPI_Win_free(&window);
    return wrong;
}

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    int rank, ranks, wrong = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (argc < 6 || ranks != 2) {
        fprintf(stderr, "usage: mpirun -n 2 %s CLIENT_CORE SERVER_CORE MILLISECONDS sparse|dense SIZE...\n", argv[0]);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    pin(atoi(argv[1 + rank]));
    for (int i = 5; i < argc; i++) {
        wrong += run_size(rank, strcmp(argv[4], "sparse") == 0, atol(argv[i]), atof(argv[3]) / 1e3);
    }
    fflush(stdout);
    MPI_Finalize();
    return wrong > 0;
}
