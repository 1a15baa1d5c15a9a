#include "common.cuh"

// InfoNCE of pixels over levels of several strides, forward and backward, as the core's InfoNce; all levels in a launch.
//
// The forward pass keeps the logits of the cells that each positive is compared with, so the backward passes read them
// instead of multiplying features again. Every sum has a fixed order: the gradients are gathered, not added atomically,
// and the same input gives the same bits.

#define MAX_LEVELS 8
#define THREADS 128
#define WARPS (THREADS / 32)
#define TILE 8      // positives that share the reading of a whole map
#define CHUNK 256   // cells whose slopes are held at a time
#define CHANNELS 64 // channels whose gradients a block gathers at a time

// One level. Features are [images or views][channels][height][width]; a view's image is view / per_image.
struct Level {
    const void *view, *image;
    float *grad_view, *grad_image;
    float *logits;        // [views][positives][area], but for excluded cells: minus infinity
    float2 *softmax;      // [views][positives]: highest logit, inverse of the sum
    float *anchor_grads;  // [views][positives][channels]
    float *losses;        // [views][positives]
    i32 channels, view_width, view_height, view_stride, image_width, image_height, image_stride;
    i32 radius;  // of the window; below 0: the whole map
    i32 exclusion_radius, area;
    float inverse_temperature, grad_scale;
    u32 first_block, first_tile;  // of the launches over positives and over cells
};

struct Levels {
    Level level[MAX_LEVELS];
    i32 count;
    u32 views, per_image, positives;
};

__device__ __forceinline__ bool finite(float value) { return fabsf(value) < __uint_as_float(0x7f800000u); }

__device__ __forceinline__ bool present(float4 p) { return finite(p.x) && finite(p.y) && finite(p.z) && finite(p.w); }

// The cell that holds a pixel, the nearest one for a place outside.
__device__ __forceinline__ i32 cell(float at, i32 stride, i32 size) {
    return (i32)fminf(fmaxf(floorf((at + 0.5f) / (float)stride), 0.0f), (float)(size - 1));
}

// The cells that a positive is compared with.
struct Area {
    i32 left, top, width, height;
    i32 true_x, true_y;
    i32 anchor;  // its cell in the view

    __device__ __forceinline__ Area(const Level &level, float4 positive) {
        true_x = cell(positive.z, level.image_stride, level.image_width);
        true_y = cell(positive.w, level.image_stride, level.image_height);
        anchor = cell(positive.y, level.view_stride, level.view_height) * level.view_width +
                 cell(positive.x, level.view_stride, level.view_width);
        i32 radius = level.radius;
        left = radius < 0 ? 0 : max(true_x - radius, 0);
        top = radius < 0 ? 0 : max(true_y - radius, 0);
        width = (radius < 0 ? level.image_width : min(true_x + radius + 1, level.image_width)) - left;
        height = (radius < 0 ? level.image_height : min(true_y + radius + 1, level.image_height)) - top;
    }

    __device__ __forceinline__ i32 cells() const { return width * height; }
    __device__ __forceinline__ i32 truth() const { return (true_y - top) * width + true_x - left; }
    __device__ __forceinline__ i32 in_map(i32 j, i32 pitch) const {
        return (top + j / width) * pitch + left + j % width;
    }
};

// A sum of exponentials, relative to the highest exponent.
struct Softmax {
    float highest, sum;

    __device__ __forceinline__ void add(float other_highest, float other_sum) {
        float less = expf(-fabsf(other_highest - highest));
        bool higher = other_highest > highest;
        sum = higher ? sum * less + other_sum : sum + other_sum * less;
        highest = higher ? other_highest : highest;
    }
};

// Which positives a block works on: TILE of a view where the whole map is compared with, else one.
struct Work {
    const Level *level;
    u32 view, first;
    bool whole;

    __device__ __forceinline__ explicit Work(const Levels &levels) {
        i32 at = levels.count - 1;
        while (at > 0 && blockIdx.x < levels.level[at].first_block) --at;
        level = &levels.level[at];
        u32 block = blockIdx.x - level->first_block;
        whole = level->radius < 0;
        u32 each = whole ? TILE : 1, groups = (levels.positives + each - 1) / each;
        view = block / groups;
        first = block % groups * each;
    }
};

// Whether two cells are at most `reach` columns and rows apart.
__device__ __forceinline__ bool near(i32 a, i32 b, i32 pitch, i32 reach) {
    return abs(a % pitch - b % pitch) <= reach && abs(a / pitch - b / pitch) <= reach;
}

struct Forward {
    float *anchors;              // [channels][N]
    Softmax *warps;              // [WARPS][TILE]
    float *truths;               // [TILE]

    template <class T, i32 N>
    __device__ __forceinline__ void run(const Levels &levels, const float4 *positives, const Work &work) {
        const Level &level = *work.level;
        i32 channels = level.channels, pitch = level.image_width, cells = pitch * level.image_height;
        const T *view = (const T *)level.view + (i64)work.view * channels * (level.view_width * level.view_height);
        const T *image = (const T *)level.image + (i64)(work.view / levels.per_image) * channels * cells;
        positives += (i64)work.view * levels.positives;

        for (i32 i = threadIdx.x; i < channels * N; i += THREADS) {
            u32 p = work.first + i % N;
            bool here = p < levels.positives && present(positives[p]);
            i64 at = (i64)(i / N) * (level.view_width * level.view_height);
            anchors[i] = here ? to_float(view[at + Area(level, positives[p]).anchor]) * level.inverse_temperature : 0.0f;
        }
        __syncthreads();

        i32 truth[N];  // the true cell in the map; -1 where there is no positive
        Softmax softmax[N];
        Area area(level, positives[work.first]);
        bool any = false;
#pragma unroll
        for (i32 t = 0; t < N; ++t) {
            u32 p = work.first + t;
            truth[t] = -1;
            if (p < levels.positives && present(positives[p])) {
                Area of_this(level, positives[p]);
                truth[t] = of_this.true_y * pitch + of_this.true_x;
                any = true;
            }
            softmax[t].highest = -3.0e38f;
            softmax[t].sum = 0.0f;
        }
        i64 place = (i64)work.view * levels.positives + work.first;
        i32 compared = any ? area.cells() : 0;
        for (i32 j = threadIdx.x; j < compared; j += THREADS) {
            i32 at = area.in_map(j, pitch);
            float dots[N];
#pragma unroll
            for (i32 t = 0; t < N; ++t) dots[t] = 0.0f;
            for (i32 c = 0; c < channels; ++c) {
                float feature = to_float(image[(i64)c * cells + at]);
#pragma unroll
                for (i32 t = 0; t < N; ++t) dots[t] = fmaf(anchors[c * N + t], feature, dots[t]);
            }
#pragma unroll
            for (i32 t = 0; t < N; ++t) {
                if (truth[t] < 0) continue;
                bool excluded = level.exclusion_radius > 0 && at != truth[t] && near(at, truth[t], pitch, level.exclusion_radius);
                if (at == truth[t]) truths[t] = dots[t];
                level.logits[(place + t) * level.area + j] = excluded ? __uint_as_float(0xff800000u) : dots[t];
                if (!excluded) softmax[t].add(dots[t], 1.0f);
            }
        }
#pragma unroll
        for (i32 t = 0; t < N; ++t) {
#pragma unroll 1
            for (i32 distance = 16; distance > 0; distance >>= 1) {
                float highest = __shfl_xor_sync(ALL_LANES, softmax[t].highest, distance);
                float sum = __shfl_xor_sync(ALL_LANES, softmax[t].sum, distance);
                softmax[t].add(highest, sum);
            }
            if ((threadIdx.x & 31) == 0) warps[(threadIdx.x >> 5) * N + t] = softmax[t];
        }
        __syncthreads();
        u32 t = threadIdx.x, p = work.first + t;
        if (t >= N || p >= levels.positives) return;
        float2 kept = make_float2(0.0f, 0.0f);
        float loss = 0.0f;
        if (present(positives[p])) {
            Softmax all = warps[t];
            for (i32 warp = 1; warp < WARPS; ++warp) all.add(warps[warp * N + t].highest, warps[warp * N + t].sum);
            kept = make_float2(all.highest, 1.0f / all.sum);
            loss = logf(all.sum) + (all.highest - truths[t]);
        }
        level.softmax[place + t] = kept;
        level.losses[place + t] = loss;
    }
};

// Bytes: a window's features once for each positive, a whole map once for every 8 positives of a view (all but the
// first time from L2), 4 written for each cell compared with. Limit: L2 for windows, where a value that is read is
// multiplied once; multiplications for whole maps, 2 channels a cell and positive.
template <class T>
__device__ __forceinline__ void forward(const Levels &levels, const float4 *positives, float *anchors, Softmax *warps,
                                        float *truths) {
    Work work(levels);
    Forward pass = {anchors, warps, truths};
    if (work.whole) pass.run<T, TILE>(levels, positives, work);
    else pass.run<T, 1>(levels, positives, work);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    info_nce_forward_f32(const float4 *__restrict__ positives, Levels levels) {
    DYNAMIC_SHARED(float, anchors);
    __shared__ Softmax warps[WARPS * TILE];
    __shared__ float truths[TILE];
    forward<float>(levels, positives, anchors, warps, truths);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    info_nce_forward_bf16(const float4 *__restrict__ positives, Levels levels) {
    DYNAMIC_SHARED(float, anchors);
    __shared__ Softmax warps[WARPS * TILE];
    __shared__ float truths[TILE];
    forward<bf16>(levels, positives, anchors, warps, truths);
}

// The loss of each level, summed over its positives. A block a level. Bytes: 4 a positive and level.
extern "C" __global__ void __launch_bounds__(THREADS) info_nce_losses(float *__restrict__ out, Levels levels) {
    __shared__ double parts[WARPS];
    const Level &level = levels.level[blockIdx.x];
    double sum = 0.0;
    for (u32 i = threadIdx.x; i < levels.views * levels.positives; i += THREADS) sum += (double)level.losses[i];
    sum = block_sum(sum, parts);
    if (threadIdx.x == 0) out[blockIdx.x] = (float)sum;
}

// The derivative of the loss by a logit, times what the logit's derivative by a feature has in common.
__device__ __forceinline__ float slope(const Level &level, float logit, float2 softmax, bool truth) {
    float share = expf(logit - softmax.x) * softmax.y;
    return (share - (truth ? 1.0f : 0.0f)) * (level.inverse_temperature * level.grad_scale);
}

template <class T, i32 N>
__device__ __forceinline__ void backward_view_of(const Levels &levels, const float4 *positives, const Work &work,
                                                 float *slopes, i32 *truths, float *grads) {
    const Level &level = *work.level;
    i32 channels = level.channels, pitch = level.image_width, cells = pitch * level.image_height;
    i32 warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    const T *image = (const T *)level.image + (i64)(work.view / levels.per_image) * channels * cells;
    i64 place = (i64)work.view * levels.positives + work.first;
    positives += place;
    for (i32 i = threadIdx.x; i < channels * N; i += THREADS) grads[i] = 0.0f;
    if (threadIdx.x < N) {
        i32 t = threadIdx.x;
        bool here = work.first + t < levels.positives && present(positives[t]);
        truths[t] = here ? Area(level, positives[t]).truth() : -1;
    }
    __syncthreads();
    Area area(level, positives[0]);
    bool any = false;
    for (i32 t = 0; t < N; ++t) any = any || truths[t] >= 0;
    i32 compared = any ? area.cells() : 0;
    for (i32 start = 0; start < compared; start += CHUNK) {
        i32 count = min(CHUNK, compared - start);
        __syncthreads();
        for (i32 i = threadIdx.x; i < N * CHUNK; i += THREADS) {
            i32 t = i / CHUNK, j = start + i % CHUNK;
            float value = 0.0f;
            if (j < compared && truths[t] >= 0) {
                float logit = level.logits[(place + t) * level.area + j];
                value = slope(level, logit, level.softmax[place + t], j == truths[t]);
            }
            slopes[i] = value;
        }
        __syncthreads();
        for (i32 c = warp; c < channels; c += WARPS) {
            float sums[N];
#pragma unroll
            for (i32 t = 0; t < N; ++t) sums[t] = 0.0f;
            for (i32 j = lane; j < count; j += 32) {
                float feature = to_float(image[(i64)c * cells + area.in_map(start + j, pitch)]);
#pragma unroll
                for (i32 t = 0; t < N; ++t) sums[t] = fmaf(slopes[t * CHUNK + j], feature, sums[t]);
            }
#pragma unroll
            for (i32 t = 0; t < N; ++t) {
                float sum = warp_sum(sums[t]);
                if (lane == 0) grads[c * N + t] += sum;
            }
        }
    }
    __syncthreads();
    for (i32 i = threadIdx.x; i < channels * N; i += THREADS) {
        u32 t = i % N;
        if (work.first + t < levels.positives) level.anchor_grads[(place + t) * channels + i / N] = grads[i];
    }
}

// The derivative by each positive's feature of the view. Bytes and limit: as the forward pass, the logits read instead
// of written, and 4 a channel and positive.
template <class T>
__device__ __forceinline__ void backward_view(const Levels &levels, const float4 *positives, float *slopes,
                                              i32 *truths, float *grads) {
    Work work(levels);
    if (work.whole) backward_view_of<T, TILE>(levels, positives, work, slopes, truths, grads);
    else backward_view_of<T, 1>(levels, positives, work, slopes, truths, grads);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    info_nce_backward_view_f32(const float4 *__restrict__ positives, Levels levels) {
    DYNAMIC_SHARED(float, grads);
    __shared__ float slopes[TILE * CHUNK];
    __shared__ i32 truths[TILE];
    backward_view<float>(levels, positives, slopes, truths, grads);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    info_nce_backward_view_bf16(const float4 *__restrict__ positives, Levels levels) {
    DYNAMIC_SHARED(float, grads);
    __shared__ float slopes[TILE * CHUNK];
    __shared__ i32 truths[TILE];
    backward_view<bf16>(levels, positives, slopes, truths, grads);
}

// Adds those derivatives to the view's gradient, the positives in their order: several may lie in a cell. Blocks: views,
// fastest; then levels. Bytes: 12 a channel, positive and level. Limit: latency.
extern "C" __global__ void __launch_bounds__(THREADS)
    info_nce_scatter_view(const float4 *__restrict__ positives, Levels levels) {
    const Level &level = levels.level[blockIdx.x / levels.views];
    u32 view = blockIdx.x % levels.views;
    i64 cells = level.view_width * level.view_height;
    for (i32 c = threadIdx.x; c < level.channels; c += THREADS) {
        float *grad = level.grad_view + ((i64)view * level.channels + c) * cells;
        for (u32 p = 0; p < levels.positives; ++p) {
            i64 place = (i64)view * levels.positives + p;
            if (!present(positives[place])) continue;
            grad[Area(level, positives[place]).anchor] += level.anchor_grads[place * level.channels + c];
        }
    }
}

// The positives, of 32, whose area meets a tile: how many, which, and their cells in the view.
struct Chosen {
    i32 count, which[32], anchor[32];
};

// The derivative by the image's features: a block gathers it for 8 x 4 cells, a lane a cell, a warp every fourth
// channel, over all positives whose area meets them. Bytes: 8 a cell and channel (the gradient read and written), 4 for
// each cell compared with. Limit: multiplications, 2 channels a cell and positive.
template <class T>
__device__ __forceinline__ void backward_image(const Levels &levels, const float4 *positives, float *slopes,
                                               float *anchors, Chosen *chosen) {
    i32 index = levels.count - 1;
    while (index > 0 && blockIdx.x < levels.level[index].first_tile) --index;
    const Level &level = levels.level[index];
    i32 channels = level.channels, pitch = level.image_width, cells = pitch * level.image_height;
    i32 view_cells = level.view_width * level.view_height;
    u32 tiles_x = (level.image_width + 7) / 8, tiles_y = (level.image_height + 3) / 4;
    u32 block = blockIdx.x - level.first_tile;
    i32 left = (i32)(block % tiles_x) * 8, top = (i32)(block / tiles_x % tiles_y) * 4;
    u32 image = block / tiles_x / tiles_y;
    i32 warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    i32 x = left + lane % 8, y = top + lane / 8;
    bool inside = x < level.image_width && y < level.image_height;
    float *grad = level.grad_image + (i64)image * channels * cells + (inside ? y * pitch + x : 0);

    for (i32 first_channel = 0; first_channel < channels; first_channel += CHANNELS) {
        float sums[CHANNELS / WARPS];
#pragma unroll
        for (i32 k = 0; k < CHANNELS / WARPS; ++k) sums[k] = 0.0f;
        for (u32 view = image * levels.per_image; view < (image + 1) * levels.per_image; ++view) {
            const T *features = (const T *)level.view + (i64)view * channels * view_cells;
            for (u32 start = 0; start < levels.positives; start += 32) {
                const float4 *these = positives + (i64)view * levels.positives + start;
                if (warp == 0) {
                    bool meets = start + lane < levels.positives && present(these[lane]);
                    i32 anchor = 0;
                    if (meets) {
                        Area area(level, these[lane]);
                        anchor = area.anchor;
                        meets = area.left < left + 8 && left < area.left + area.width && area.top < top + 4 &&
                                top < area.top + area.height;
                    }
                    u32 met = __ballot_sync(ALL_LANES, meets);
                    i32 place = __popc(met & ((1u << lane) - 1u));
                    if (meets) {
                        chosen->which[place] = lane;
                        chosen->anchor[place] = anchor;
                    }
                    if (lane == 0) chosen->count = __popc(met);
                }
                __syncthreads();
                i32 count = chosen->count;
                for (i32 i = warp; i < count; i += WARPS) {
                    i32 p = chosen->which[i];
                    Area area(level, these[p]);
                    i32 column = x - area.left, row = y - area.top;
                    float value = 0.0f;
                    if (inside && (u32)column < (u32)area.width && (u32)row < (u32)area.height) {
                        i64 place = (i64)view * levels.positives + start + p;
                        i32 j = row * area.width + column;
                        value = slope(level, level.logits[place * level.area + j], level.softmax[place], j == area.truth());
                    }
                    slopes[i * 32 + lane] = value;
                }
                for (i32 i = threadIdx.x; i < count * CHANNELS; i += THREADS) {
                    i32 c = first_channel + i % CHANNELS;
                    i64 at = (i64)c * view_cells + chosen->anchor[i / CHANNELS];
                    anchors[i] = c < channels ? to_float(features[at]) : 0.0f;
                }
                __syncthreads();
                for (i32 i = 0; i < count; ++i) {
                    float value = slopes[i * 32 + lane];
#pragma unroll
                    for (i32 k = 0; k < CHANNELS / WARPS; ++k) {
                        sums[k] = fmaf(value, anchors[i * CHANNELS + warp + k * WARPS], sums[k]);
                    }
                }
            }
        }
#pragma unroll
        for (i32 k = 0; k < CHANNELS / WARPS; ++k) {
            i32 c = first_channel + warp + k * WARPS;
            if (inside && c < channels) grad[(i64)c * cells] += sums[k];
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    info_nce_backward_image_f32(const float4 *__restrict__ positives, Levels levels) {
    __shared__ float slopes[32 * 32];
    __shared__ float anchors[32 * CHANNELS];
    __shared__ Chosen chosen;
    backward_image<float>(levels, positives, slopes, anchors, &chosen);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    info_nce_backward_image_bf16(const float4 *__restrict__ positives, Levels levels) {
    __shared__ float slopes[32 * 32];
    __shared__ float anchors[32 * CHANNELS];
    __shared__ Chosen chosen;
    backward_image<bf16>(levels, positives, slopes, anchors, &chosen);
}
