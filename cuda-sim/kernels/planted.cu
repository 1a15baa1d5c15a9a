// Kernels with planted bugs, and the same without: what the checker has to find, and what it must not report.
#include "common.cuh"

// Sums neighbours over shared memory. BUG 1: no barrier between writing and reading another thread's element.
template <bool BUG>
__device__ __forceinline__ void neighbours(const i32 *in, i32 *out, i32 *held) {
    held[threadIdx.x] = 0;
    __syncthreads();
    held[threadIdx.x] = in[threadIdx.x];
    if (!BUG) __syncthreads();
    out[threadIdx.x] = held[threadIdx.x] + held[threadIdx.x ^ 32];
}
extern "C" __global__ void barrier_there(const i32 *in, i32 *out) {
    __shared__ i32 held[64];
    neighbours<false>(in, out, held);
}
extern "C" __global__ void barrier_missing(const i32 *in, i32 *out) {
    __shared__ i32 held[64];
    neighbours<true>(in, out, held);
}

// A histogram. BUG 2: a plain addition instead of an atomic one.
template <bool BUG>
__device__ __forceinline__ void count(const i32 *in, i32 *out, i32 *held) {
    if (threadIdx.x < 4) held[threadIdx.x] = 0;
    __syncthreads();
    i32 *bin = &held[in[threadIdx.x] & 3];
    if (BUG) *bin += 1;
    else atomicAdd(bin, 1);
    __syncthreads();
    if (threadIdx.x < 4) out[threadIdx.x] = held[threadIdx.x];
}
extern "C" __global__ void addition_atomic(const i32 *in, i32 *out) {
    __shared__ i32 held[4];
    count<false>(in, out, held);
}
extern "C" __global__ void addition_plain(const i32 *in, i32 *out) {
    __shared__ i32 held[4];
    count<true>(in, out, held);
}

// Differences. BUG 3: the last thread reads one element past the end.
extern "C" __global__ void difference(const i32 *in, i32 *out) {
    u32 next = min(threadIdx.x + 1, blockDim.x - 1);
    out[threadIdx.x] = in[next] - in[threadIdx.x];
}
extern "C" __global__ void difference_off_by_one(const i32 *in, i32 *out) {
    out[threadIdx.x] = in[threadIdx.x + 1] - in[threadIdx.x];
}

// The same in shared memory, where another array lies next to it.
template <bool BUG>
__device__ __forceinline__ void shared_difference(const i32 *in, i32 *out, i32 *held, i32 *beside) {
    held[threadIdx.x] = in[threadIdx.x];
    beside[threadIdx.x] = 0;
    __syncthreads();
    u32 next = BUG ? threadIdx.x + 1 : min(threadIdx.x + 1, blockDim.x - 1);
    out[threadIdx.x] = held[next] - held[threadIdx.x] + beside[threadIdx.x];
}
extern "C" __global__ void shared_inside(const i32 *in, i32 *out) {
    __shared__ i32 held[64];
    __shared__ i32 beside[64];
    shared_difference<false>(in, out, held, beside);
}
extern "C" __global__ void shared_off_by_one(const i32 *in, i32 *out) {
    __shared__ i32 held[64];
    __shared__ i32 beside[64];
    shared_difference<true>(in, out, held, beside);
}

// A warp's sum. BUG 4: half of the lanes have left before all are named.
template <bool BUG>
__device__ __forceinline__ void sum(const i32 *in, i32 *out) {
    i32 value = in[threadIdx.x];
    if (BUG && value < 0) return;
    for (i32 distance = 16; distance > 0; distance >>= 1) value += __shfl_xor_sync(ALL_LANES, value, distance);
    out[threadIdx.x] = value;
}
extern "C" __global__ void shuffle_of_all(const i32 *in, i32 *out) { sum<false>(in, out); }
extern "C" __global__ void shuffle_of_some(const i32 *in, i32 *out) { sum<true>(in, out); }

// A sum over a block. BUG 5: the accumulator is not set before it is added to.
template <bool BUG>
__device__ __forceinline__ void total(const i32 *in, i32 *out, i32 *held) {
    if (!BUG && threadIdx.x == 0) *held = 0;
    __syncthreads();
    atomicAdd(held, in[threadIdx.x]);
    __syncthreads();
    out[threadIdx.x] = *held;
}
extern "C" __global__ void shared_set(const i32 *in, i32 *out) {
    __shared__ i32 held;
    total<false>(in, out, &held);
}
extern "C" __global__ void shared_unset(const i32 *in, i32 *out) {
    __shared__ i32 held;
    total<true>(in, out, &held);
}

// Blocks that write where others read: ordered by nothing within a launch.
extern "C" __global__ void blocks_apart(const i32 *in, i32 *out) {
    out[blockIdx.x * blockDim.x + threadIdx.x] = in[threadIdx.x];
}
extern "C" __global__ void blocks_meet(const i32 *in, i32 *out) {
    if (blockIdx.x == 0) out[threadIdx.x] = in[threadIdx.x];
    else out[blockDim.x + threadIdx.x] = out[threadIdx.x];
}

// Half of a block waits for the other half, which has left.
extern "C" __global__ void barrier_of_some(const i32 *in, i32 *out) {
    if (threadIdx.x >= 32) return;
    __syncthreads();
    out[threadIdx.x] = in[threadIdx.x];
}
