#include "common.cuh"

// Sampling of pixels in proportion to their information.

// The smallest index of a value that is negative or not finite goes to `refused`.
__device__ __forceinline__ void check(float value, u64 index, u64 *refused) {
    if (!(value >= 0.0f && value < __uint_as_float(0x7f800000u))) atomicMin(refused, index);
}

// Weight of each entropy: its power, or 1 from the threshold on.
// Bytes: 8 a pixel. Limit: DRAM.
extern "C" __global__ void weight_map(const float *__restrict__ entropy, float *__restrict__ out,
                                      u64 *__restrict__ refused, u64 pixels, float parameter, i32 piecewise) {
    u64 index = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= pixels) return;
    float value = entropy[index];
    check(value, index, refused);
    out[index] = piecewise ? (value >= parameter ? 1.0f : 0.0f) : powf(value, parameter);
}

// Sums of the weights up to each pixel of an image, row after row. A block an image: each thread adds up its part,
// thread 0 the parts, then each thread its part again from where it starts.
// Bytes: 16 a pixel (weights twice, 8 written). Limit: the latency of blockDim.x chains of additions an image.
extern "C" __global__ void cumulative_weights(const float *__restrict__ weights, double *__restrict__ sums,
                                              double *__restrict__ totals, u64 *__restrict__ refused, u32 pixels) {
    __shared__ double starts[1024 + 1];
    weights += (u64)blockIdx.x * pixels;
    sums += (u64)blockIdx.x * pixels;
    u32 part = (pixels + blockDim.x - 1) / blockDim.x;
    u32 first = min(threadIdx.x * part, pixels), last = min(first + part, pixels), heavy = last;
    double sum = 0.0;
    for (u32 i = first; i < last; ++i) {
        float weight = weights[i];
        check(weight, (u64)blockIdx.x * pixels + i, refused);
        sum += (double)weight;
        if (weight > 0.0f) heavy = i;
    }
    starts[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        double start = 0.0;
        for (u32 i = 0; i < blockDim.x; ++i) {
            double of_part = starts[i];
            starts[i] = start;
            start += of_part;
        }
        starts[blockDim.x] = start;
        totals[blockIdx.x] = start;
    }
    __syncthreads();
    sum = starts[threadIdx.x];
    // However the additions are rounded, the sums never fall, and a pixel without weight has its predecessor's.
    double end = starts[threadIdx.x + 1];
    for (u32 i = first; i < last; ++i) {
        sum += (double)weights[i];
        sums[i] = i >= heavy ? end : fmin(sum, end);
    }
}

// The first place whose sum is above `target`, or at least it.
template <bool ABOVE>
__device__ __forceinline__ u32 place(const double *sums, u32 pixels, double target) {
    u32 low = 0, high = pixels;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (ABOVE ? sums[middle] <= target : sums[middle] < target) low = middle + 1;
        else high = middle;
    }
    return low;
}

// Draw number `j` of image `i` is that of the core's sampler from stream `first_stream + i`, as its pixel's index.
// Bytes: 8 log2(pixels) read at random a draw (the upper levels from L2), 4 written. Limit: latency.
extern "C" __global__ void draw_pixels(const double *__restrict__ sums, u32 *__restrict__ out, u32 pixels, u32 draws,
                                       u64 total, u64 seed, u64 first_stream, u64 first_draw) {
    u64 index = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= total) return;
    u64 image = index / draws, draw = first_draw + index % draws;
    sums += image * pixels;
    double whole = sums[pixels - 1];
    double target = unit_double(random_bits(seed, first_stream + image, draw)) * whole;
    // Rounding can make the target the whole sum: then the last pixel that has a weight.
    out[index] = min(place<true>(sums, pixels, target), place<false>(sums, pixels, whole));
}
