#include "common.cuh"

// Entropy of the grey levels around each pixel, by the core's fixed point: with f(c) = c log2 c as an integer,
// H = (f(n) - sum of f(count)) * factor(n). Integers: the value does not depend on the order of the updates.
//
// One thread a column, sliding down `rows` rows; its histogram lies in shared memory, two counts of 16 bits a word, the
// words of a block's threads next to each other: thread t only ever touches bank t mod 32, so there are no conflicts,
// and nobody else's histogram, so there are no atomics.
//
// Bytes: reads an image once from DRAM (2 k reads a pixel from L1), writes 4 a pixel. Limit: shared memory, 2 k updates
// a pixel, each two loads and a store.

enum Border { CUT, MIRROR, CLAMP };

// The index along a side whose pixel stands at `at`; -1 for none.
__device__ __forceinline__ i32 source(i32 at, i32 size, i32 border) {
    if ((u32)at < (u32)size) return at;
    if (border == CUT) return -1;
    if (border == CLAMP) return at < 0 ? 0 : size - 1;
    i32 period = 2 * size, place = at % period;
    if (place < 0) place += period;
    return place < size ? place : period - 1 - place;
}

// How many of the k places from `first` on have a pixel.
__device__ __forceinline__ i32 covered(i32 first, i32 k, i32 size, i32 border) {
    return border == CUT ? min(first + k, size) - max(first, 0) : k;
}

struct Window {
    u32 *counts;       // of this thread: every blockDim.x-th word
    const u32 *steps;  // f(c + 1) - f(c)
    u32 sum;

    __device__ __forceinline__ void enter(u32 level) {
        u32 *word = counts + (level >> 1) * blockDim.x;
        u32 shift = (level & 1u) << 4, value = *word;
        sum += steps[(value >> shift) & 0xffffu];
        *word = value + (1u << shift);
    }

    __device__ __forceinline__ void leave(u32 level) {
        u32 *word = counts + (level >> 1) * blockDim.x;
        u32 shift = (level & 1u) << 4, value = *word - (1u << shift);
        sum -= steps[(value >> shift) & 0xffffu];
        *word = value;
    }
};

// `steps` and `tops` (f(n)) have an element for each number of pixels below and up to the largest window's; `factors`
// belongs to `tops`. Blocks: columns of blocks, fastest; then strips of rows; then images.
extern "C" __global__ void entropy_map(const u8 *__restrict__ images, float *__restrict__ out,
                                       const u32 *__restrict__ steps, const u32 *__restrict__ tops,
                                       const double *__restrict__ factors, Images size, i32 largest, i32 k, i32 border,
                                       i32 rows, i32 blocks_x, i32 strips) {
    DYNAMIC_SHARED(u32, shared);  // the steps, then 128 words of counts for each thread
    Window window = {shared + largest + threadIdx.x, shared, 0};
    for (i32 i = threadIdx.x; i < largest; i += blockDim.x) shared[i] = steps[i];
    for (i32 i = 0; i < 128; ++i) window.counts[i * blockDim.x] = 0;
    __syncthreads();

    i32 x = (i32)(blockIdx.x % blocks_x) * (i32)blockDim.x + (i32)threadIdx.x;
    i32 strip = (i32)(blockIdx.x / blocks_x % strips);
    u32 image = blockIdx.x / blocks_x / strips;
    if (x >= size.width) return;
    const u8 *pixels = images + image * size.step;
    out += (i64)image * size.width * size.height;

    i32 left = x - k / 2, first = strip * rows, last = min(first + rows, size.height);
    i32 columns = covered(left, k, size.width, border);
    bool inside = left >= 0 && left + k <= size.width;
    for (i32 y = first; y < last; ++y) {
        i32 top = y - k / 2;
        // The first window is filled; the others lose the row above and gain the one below.
        for (i32 row = y == first ? 0 : k - 1; row < k; ++row) {
            i32 gained = source(top + row, size.height, border);
            i32 lost = y == first ? -1 : source(top - 1, size.height, border);
            const u8 *gain = pixels + (i64)(gained < 0 ? 0 : gained) * size.pitch;
            const u8 *lose = pixels + (i64)(lost < 0 ? 0 : lost) * size.pitch;
            for (i32 column = left; column < left + k; ++column) {
                i32 at = inside ? column : source(column, size.width, border);
                if (at < 0) continue;
                i32 added = gained < 0 ? -1 : gain[at], removed = lost < 0 ? -1 : lose[at];
                if (added == removed) continue;
                if (removed >= 0) window.leave(removed);
                if (added >= 0) window.enter(added);
            }
        }
        i32 pixels_in = columns * covered(top, k, size.height, border);
        u32 whole = tops[pixels_in];
        u32 rest = whole > window.sum ? whole - window.sum : 0;
        out[(i64)y * size.width + x] = (float)((double)rest * factors[pixels_in]);
    }
}
