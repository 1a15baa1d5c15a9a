// Shared by the kernels that make views: tiles of pixels, and their tone.
#pragma once
#include "common.cuh"

// Pixels that a block makes, so that a few views fill a device.
#define TILE_PIXELS 2048
#define VIEW_WARPS 8

__device__ __forceinline__ float grey(u8 value) { return (float)value / 255.0f; }
__device__ __forceinline__ float grey(float value) { return value; }

__device__ __forceinline__ float mix(float a, float b, float part) { return a + (b - a) * part; }

__device__ __forceinline__ float unit(float value) { return fminf(fmaxf(value, 0.0f), 1.0f); }

// The pixels of a view that a block makes: tiles of a view follow each other, then come those of the next.
struct Tile {
    u32 view, first, end;

    __device__ __forceinline__ Tile(u32 pixels, u32 tiles) {
        view = blockIdx.x / tiles;
        first = blockIdx.x % tiles * TILE_PIXELS;
        end = first + min(pixels - first, (u32)TILE_PIXELS);
    }
};

// Brightens the pixels of a tile, each the `value` at its column and row, and leaves their sum for the tone.
template <class Value>
__device__ __forceinline__ void brighten(Value value, float brightness, const Tile &tile, float *out, double *sums,
                                         u32 width, u32 pixels, double *parts) {
    out += (u64)tile.view * pixels;
    double sum = 0.0;
    for (u32 i = tile.first + threadIdx.x; i < tile.end; i += blockDim.x) {
        float bright = unit(value(i % width, i / width) * brightness);
        sum += (double)bright;
        out[i] = bright;
    }
    sum = block_sum(sum, parts);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// Contrast around the mean of a brightened view, then gamma. The sums of its tiles are added in a fixed order.
template <class Plan>
__device__ __forceinline__ void finish_tone(const Plan *plans, const double *sums, float *out, u32 pixels, u32 tiles,
                                            double *parts, float *mean) {
    Tile tile(pixels, tiles);
    out += (u64)tile.view * pixels;
    double sum = 0.0;
    for (u32 i = threadIdx.x; i < tiles; i += blockDim.x) sum += sums[(u64)tile.view * tiles + i];
    sum = block_sum(sum, parts);
    if (threadIdx.x == 0) *mean = (float)(sum / (double)pixels);
    __syncthreads();
    float contrast = plans[tile.view].contrast, gamma = plans[tile.view].gamma;
    float base = (1.0f - contrast) * *mean;
    for (u32 i = tile.first + threadIdx.x; i < tile.end; i += blockDim.x) {
        float value = unit(out[i] * contrast + base);
        out[i] = gamma == 1.0f ? value : powf(value, gamma);
    }
}
