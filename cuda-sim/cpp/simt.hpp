// CUDA C++ as far as the kernels use it, for a C++17 compiler; force-included before each of them.
//
// A thread is a fiber: barriers, votes, shuffles and atomics are where others may run. `machine.hpp` is the rest.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

namespace simt {

// What kernels see of the thread that runs.
struct Thread {
    uint3 index;
    unsigned number;  // in its block
};

// What they see of its block. One object, so that the checker can tell it from the kernels' memory.
struct Block {
    Thread *thread;
    uint3 index;
    dim3 threads, blocks;
    unsigned char *shared;
};
extern Block block;

constexpr unsigned GUARD = 64;

enum class Warp { SYNC, SHUFFLE, BALLOT };

void barrier(int line);
uint64_t warp(Warp what, unsigned mask, uint64_t value, unsigned from, int line);
void before_atomic(const volatile void *address, unsigned size);
void add_kernel(const char *name, void (*run)(void **), int parameters, const unsigned *sizes);

#define SIMT_UNCHECKED __attribute__((noinline, no_sanitize("thread")))

// Calls a kernel with arguments that the driver has as addresses.
template <auto Kernel> struct Entry;
template <class... A, void (*Kernel)(A...)> struct Entry<Kernel> {
    template <size_t... I> SIMT_UNCHECKED static void call(void **p, std::index_sequence<I...>) {
        Kernel(*static_cast<std::remove_reference_t<A> *>(p[I])...);
    }
    SIMT_UNCHECKED static void run(void **p) { call(p, std::index_sequence_for<A...>{}); }
    explicit Entry(const char *name) {
        static const unsigned sizes[] = {sizeof(A)..., 0};
        add_kernel(name, &run, (int)sizeof...(A), sizes);
    }
};

template <class T> inline uint64_t to_bits(T value) {
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    return bits;
}
template <class T> inline T from_bits(uint64_t bits) {
    T value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
template <class T> inline T shuffle(unsigned mask, T value, unsigned from, int line) {
    return from_bits<T>(warp(Warp::SHUFFLE, mask, to_bits(value), from, line));
}
inline unsigned lane() { return block.thread->number & 31; }
inline unsigned lane_below(unsigned by) { return lane() < by ? lane() : lane() - by; }
inline unsigned lane_above(unsigned by) { return lane() + by > 31 ? lane() : lane() + by; }
inline unsigned all_or(unsigned mask = 0xffffffffu) { return mask; }

}  // namespace simt

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// Before each variable lie bytes that nobody may touch; the linker collects both, and the guards' addresses.
#define SIMT_JOINED(a, b) a##b
#define SIMT_JOIN(a, b) SIMT_JOINED(a, b)
#define SIMT_IN(name) static __attribute__((section(name), used))
#define SIMT_GUARDED(guard)                                                      \
    SIMT_IN("simt_shared") unsigned char guard[simt::GUARD];                     \
    SIMT_IN("simt_guards") unsigned char *const SIMT_JOIN(guard, _at) = guard; \
    SIMT_IN("simt_shared")
#define __shared__ SIMT_GUARDED(SIMT_JOIN(simt_guard_, __COUNTER__))
#define DYNAMIC_SHARED(T, name) T *name = reinterpret_cast<T *>(simt::block.shared)
#define threadIdx (simt::block.thread->index)
#define blockIdx (simt::block.index)
#define blockDim (simt::block.threads)
#define gridDim (simt::block.blocks)

#define __syncthreads() simt::barrier(__LINE__)
#define __syncwarp(...) ((void)simt::warp(simt::Warp::SYNC, simt::all_or(__VA_ARGS__), 0, 0, __LINE__))
#define __ballot_sync(mask, p) ((unsigned)simt::warp(simt::Warp::BALLOT, (mask), (p) ? 1 : 0, 0, __LINE__))
#define __any_sync(mask, p) (__ballot_sync(mask, p) != 0)
#define __all_sync(mask, p) (__ballot_sync(mask, !(p)) == 0)
#define __shfl_sync(mask, v, from) simt::shuffle((mask), (v), (unsigned)(from) & 31, __LINE__)
#define __shfl_xor_sync(mask, v, by) simt::shuffle((mask), (v), simt::lane() ^ (unsigned)(by), __LINE__)
#define __shfl_up_sync(mask, v, by) simt::shuffle((mask), (v), simt::lane_below(by), __LINE__)
#define __shfl_down_sync(mask, v, by) simt::shuffle((mask), (v), simt::lane_above(by), __LINE__)

// Others may run before an atomic operation, never within.
#define SIMT_ATOMIC(name, update)                        \
    template <class T> SIMT_UNCHECKED T name(T *address, T value) { \
        simt::before_atomic(address, sizeof(T));         \
        T old = *address;                                \
        *address = update;                               \
        return old;                                      \
    }
SIMT_ATOMIC(atomicAdd, old + value)
SIMT_ATOMIC(atomicSub, old - value)
SIMT_ATOMIC(atomicMin, value < old ? value : old)
SIMT_ATOMIC(atomicMax, value > old ? value : old)
SIMT_ATOMIC(atomicExch, value)
template <class T> SIMT_UNCHECKED T atomicCAS(T *address, T expected, T value) {
    simt::before_atomic(address, sizeof(T));
    T old = *address;
    if (old == expected) *address = value;
    return old;
}

inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
inline float __uint_as_float(unsigned bits) { return simt::from_bits<float>(bits); }
inline unsigned __float_as_uint(float value) { return (unsigned)simt::to_bits(value); }
inline int __popc(unsigned value) { return __builtin_popcount(value); }
