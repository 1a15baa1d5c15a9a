// Shared by all kernels. They are compiled three ways: by NVRTC to PTX, by ptxas, and by a C++ compiler for the CPU
// (cuda-sim), so they use plain C++17, the names below and nothing of a standard library.
//
// Multiplications and additions are not fused (--fmad=false), so that arithmetic gives the core's bits; where speed
// matters more, `fmaf` is spelt out. Nothing depends on the order of threads: integers are added atomically, floating
// point only in a fixed order.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(T, name) extern __shared__ __align__(16) T name[]
#endif

#define ALL_LANES 0xffffffffu

// A number of the type bfloat16, as its bits.
struct bf16 {
    u16 bits;
};

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(bf16 value) { return __uint_as_float((u32)value.bits << 16); }

// The sum over a warp, the same in each lane.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
    for (i32 distance = 16; distance > 0; distance >>= 1) value += __shfl_xor_sync(ALL_LANES, value, distance);
    return value;
}

// The sum over a block of whole warps, for thread 0; `parts` has an element for each warp.
template <class T>
__device__ __forceinline__ T block_sum(T value, T *parts) {
    value = warp_sum(value);
    if ((threadIdx.x & 31) == 0) parts[threadIdx.x >> 5] = value;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (u32 warp = 1; warp < blockDim.x / 32; ++warp) value += parts[warp];
    }
    return value;
}

// A batch of images of one channel: `pitch` elements from a row to the next, `step` from an image to the next.
struct Images {
    i32 width, height;
    i64 pitch, step;
};

// Four random words: Philox4x32-10 (Salmon et al., SC 2011), as in the core.
struct Words {
    u32 at[4];
};

__device__ __forceinline__ Words philox(u64 index, u64 stream, u64 seed) {
    u32 a = (u32)index, b = (u32)(index >> 32), c = (u32)stream, d = (u32)(stream >> 32);
    u32 k = (u32)seed, l = (u32)(seed >> 32);
    for (i32 round = 0; round < 10; ++round) {
        u64 p = (u64)0xD2511F53u * a, q = (u64)0xCD9E8D57u * c;
        a = (u32)(q >> 32) ^ b ^ k;
        b = (u32)q;
        c = (u32)(p >> 32) ^ d ^ l;
        d = (u32)p;
        k += 0x9E3779B9u;
        l += 0xBB67AE85u;
    }
    Words words = {{a, b, c, d}};
    return words;
}

// The 64 bits that the core's generator draws at an even position: the lower word first.
__device__ __forceinline__ u64 random_bits(u64 seed, u64 stream, u64 draw) {
    Words words = philox(draw >> 1, stream, seed);
    return draw & 1 ? (u64)words.at[2] | (u64)words.at[3] << 32 : (u64)words.at[0] | (u64)words.at[1] << 32;
}

// In [0, 1), evenly spaced: 53 and 24 bits.
__device__ __forceinline__ double unit_double(u64 bits) { return (double)(bits >> 11) * (1.0 / 9007199254740992.0); }
__device__ __forceinline__ float unit_float(u64 bits) { return (float)(u32)(bits >> 40) * (1.0f / 16777216.0f); }
