#include "common.cuh"

// Search of template features in feature maps: products at each level, their sum on the grid of the finest, and the
// highest cells. As the core's `similarity` and `peak`.

#define MAX_LEVELS 8
#define THREADS 128
#define TILE 8   // templates that share the reading of a map
#define CELLS 4  // cells of a thread

// Products of a level's features with templates: `out` is [images][templates][cells].
// Blocks: groups of cells, fastest; then groups of templates; then images.
template <class T>
__device__ __forceinline__ void products(const T *features, const float *templates, float *out, i32 channels, i32 cells,
                                         u32 count, float inverse_temperature, float4 *held) {
    u32 groups = (cells + THREADS * CELLS - 1) / (THREADS * CELLS), tiles = (count + TILE - 1) / TILE;
    i32 first = (i32)(blockIdx.x % groups) * THREADS * CELLS + (i32)threadIdx.x;
    u32 tile = blockIdx.x / groups % tiles * TILE;
    i64 image = blockIdx.x / groups / tiles;
    float *held_values = (float *)held;
    for (i32 i = threadIdx.x; i < channels * TILE; i += THREADS) {
        u32 m = tile + i % TILE;
        held_values[i] = m < count ? templates[(i64)m * channels + i / TILE] * inverse_temperature : 0.0f;
    }
    __syncthreads();
    features += image * channels * cells;
    float sums[CELLS][TILE];
#pragma unroll
    for (i32 k = 0; k < CELLS; ++k) {
#pragma unroll
        for (i32 t = 0; t < TILE; ++t) sums[k][t] = 0.0f;
    }
    for (i32 c = 0; c < channels; ++c) {
        float4 a = held[c * 2], b = held[c * 2 + 1];
        float values[TILE] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
#pragma unroll
        for (i32 k = 0; k < CELLS; ++k) {
            i32 at = min(first + k * THREADS, cells - 1);
            float feature = to_float(features[(i64)c * cells + at]);
#pragma unroll
            for (i32 t = 0; t < TILE; ++t) sums[k][t] = fmaf(values[t], feature, sums[k][t]);
        }
    }
#pragma unroll
    for (i32 k = 0; k < CELLS; ++k) {
        i32 at = first + k * THREADS;
#pragma unroll
        for (i32 t = 0; t < TILE; ++t) {
            if (at < cells && tile + t < count) out[(image * count + tile + t) * cells + at] = sums[k][t];
        }
    }
}

// Bytes: a map once for every 8 templates (from L2), 4 written for each product. Limit: DRAM for the products up to
// about 30 channels, then multiplications.
extern "C" __global__ void __launch_bounds__(THREADS)
    products_f32(const float *__restrict__ features, const float *__restrict__ templates, float *__restrict__ out,
                 i32 channels, i32 cells, u32 count, float inverse_temperature) {
    DYNAMIC_SHARED(float4, held);
    products(features, templates, out, channels, cells, count, inverse_temperature, held);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    products_bf16(const bf16 *__restrict__ features, const float *__restrict__ templates, float *__restrict__ out,
                  i32 channels, i32 cells, u32 count, float inverse_temperature) {
    DYNAMIC_SHARED(float4, held);
    products(features, templates, out, channels, cells, count, inverse_temperature, held);
}

struct Products {
    const float *values;
    i32 width, height, stride;
};

struct Pyramid {
    Products level[MAX_LEVELS];
    i32 count, width, height, stride;  // size and stride of the finest
};

// The pixel before a coordinate and the way to the next, places outside moved to the border.
__device__ __forceinline__ float inside(float at, i32 size, i32 &low) {
    at = fminf(fmaxf(at, 0.0f), (float)(size - 1));
    low = (i32)floorf(at);
    return at - (float)low;
}

__device__ __forceinline__ float mix(float a, float b, float part) { return a + (b - a) * part; }

// Adds the levels up on the finest's grid, linear between cell centres. `out` is [images x templates][cells].
// Bytes: 4 read of each level's product and 4 written a cell. Limit: DRAM.
extern "C" __global__ void add_levels(float *__restrict__ out, Pyramid pyramid, u64 total) {
    u64 index = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= total) return;
    u32 cells = pyramid.width * pyramid.height;
    u64 map = index / cells;
    i32 x = (i32)(index % cells) % pyramid.width, y = (i32)(index % cells) / pyramid.width;
    float sum = 0.0f;
    for (i32 i = 0; i < pyramid.count; ++i) {
        const Products &level = pyramid.level[i];
        const float *values = level.values + map * (u32)(level.width * level.height);
        if (level.stride == pyramid.stride && level.width == pyramid.width && level.height == pyramid.height) {
            sum += values[y * level.width + x];
            continue;
        }
        float scale = (float)pyramid.stride / (float)level.stride;
        i32 left, top;
        float across = inside(((float)x + 0.5f) * scale - 0.5f, level.width, left);
        float down = inside(((float)y + 0.5f) * scale - 0.5f, level.height, top);
        i32 right = min(left + 1, level.width - 1), bottom = min(top + 1, level.height - 1);
        float above = mix(values[top * level.width + left], values[top * level.width + right], across);
        float below = mix(values[bottom * level.width + left], values[bottom * level.width + right], across);
        sum += mix(above, below, down);
    }
    out[index] = sum;
}

// One of the highest cells: its place in input pixels, its value, its index (-1: there is none).
struct Match {
    float x, y, value;
    i32 cell;
};

// Whether a cell comes before another: the higher first, then the first in reading order.
__device__ __forceinline__ bool before(float value, i32 cell, float other_value, i32 other_cell) {
    return value > other_value || (value == other_value && cell < other_cell);
}

// Where the parabola through a cell and its neighbours is highest; they may lie outside.
__device__ __forceinline__ float vertex(const float *map, i32 cell, i32 step, bool both, float middle) {
    if (!both) return 0.0f;
    float previous = map[cell - step], next = map[cell + step];
    float bend = (middle - previous) + (middle - next);
    float shift = 0.5f * (next - previous) / bend;
    bool good = bend > 0.0f && fabsf(shift) < __uint_as_float(0x7f800000u);
    return good ? fminf(fmaxf(shift, -0.5f), 0.5f) : 0.0f;
}

// The `wanted` highest cells of each map, in order. NaN never counts. A block a map, a round over the map for each.
// Bytes: 4 wanted a cell (the first round from DRAM, the others mostly from L2). Limit: L2.
extern "C" __global__ void highest_cells(const float *__restrict__ maps, Match *__restrict__ out, i32 width, i32 height,
                                         i32 stride, i32 wanted) {
    __shared__ float values[32];
    __shared__ i32 cells[32];
    i32 count = width * height;
    const float *map = maps + (i64)blockIdx.x * count;
    float infinity = __uint_as_float(0x7f800000u);
    float last_value = infinity;
    i32 last_cell = -1;
    for (i32 round = 0; round < wanted; ++round) {
        float value = -infinity;
        i32 cell = count;
        for (i32 i = threadIdx.x; i < count; i += blockDim.x) {
            float here = map[i];
            if (before(last_value, last_cell, here, i) && before(here, i, value, cell)) {
                value = here;
                cell = i;
            }
        }
        for (i32 distance = 16; distance > 0; distance >>= 1) {
            float other_value = __shfl_xor_sync(ALL_LANES, value, distance);
            i32 other_cell = __shfl_xor_sync(ALL_LANES, cell, distance);
            if (before(other_value, other_cell, value, cell)) {
                value = other_value;
                cell = other_cell;
            }
        }
        if ((threadIdx.x & 31) == 0) {
            values[threadIdx.x >> 5] = value;
            cells[threadIdx.x >> 5] = cell;
        }
        __syncthreads();
        value = values[0];
        cell = cells[0];
        for (u32 warp = 1; warp < blockDim.x / 32; ++warp) {
            if (before(values[warp], cells[warp], value, cell)) {
                value = values[warp];
                cell = cells[warp];
            }
        }
        __syncthreads();
        last_value = value;
        last_cell = cell;
        if (threadIdx.x == 0) {
            Match match = {0.0f, 0.0f, value, -1};
            if (cell < count) {
                i32 x = cell % width, y = cell / width;
                float middle = map[cell];
                float across = vertex(map, cell, 1, x > 0 && x < width - 1, middle);
                float down = vertex(map, cell, width, y > 0 && y < height - 1, middle);
                match.x = ((float)x + across + 0.5f) * (float)stride - 0.5f;
                match.y = ((float)y + down + 0.5f) * (float)stride - 0.5f;
                match.cell = cell;
            }
            out[(i64)blockIdx.x * wanted + round] = match;
        }
    }
}
