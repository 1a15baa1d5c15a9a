#include "common.cuh"

// Mutual information of pairs of patches with 256 grey levels: I = H(A) + H(B) - H(A, B), the entropies as integers in
// the core's fixed point. A block a pair. The joint histogram is a hash table in shared memory with at least twice as
// many slots as pixels, each a pair of levels and its count; which slot a pair gets depends on the order of the
// threads, the sum over the slots does not.
//
// Bytes: 2 a pixel of a patch, 4 a pair. Limit: shared-memory atomics, four or more a pixel.

#define FREE 0xffffffffu

// Where two patches lie.
struct Pair {
    i32 first_image, first_x, first_y, second_image, second_x, second_y;
};

__device__ __forceinline__ void count_pair(u32 *slots, u32 mask, u32 levels) {
    for (u32 slot = levels * 0x9E3779B1u >> 16 & mask;; slot = (slot + 1) & mask) {
        u32 met = atomicCAS(&slots[slot], FREE, levels << 16);
        if (met == FREE || met >> 16 == levels) {
            atomicAdd(&slots[slot], 1u);
            return;
        }
    }
}

// `terms[c]` is f(c) for counts up to the pixels of a patch.
extern "C" __global__ void mutual_information(const u8 *__restrict__ first, const u8 *__restrict__ second,
                                              const Pair *__restrict__ pairs, float *__restrict__ out,
                                              const u64 *__restrict__ terms, Images first_size, Images second_size,
                                              i32 width, i32 height, u32 slots, double nats) {
    DYNAMIC_SHARED(u32, table);
    __shared__ u32 counts[512];
    __shared__ u64 parts[3 * 32];
    for (u32 i = threadIdx.x; i < slots; i += blockDim.x) table[i] = FREE;
    for (u32 i = threadIdx.x; i < 512; i += blockDim.x) counts[i] = 0;
    __syncthreads();

    Pair pair = pairs[blockIdx.x];
    first += pair.first_image * first_size.step + pair.first_y * first_size.pitch + pair.first_x;
    second += pair.second_image * second_size.step + pair.second_y * second_size.pitch + pair.second_x;
    i32 pixels = width * height;
    for (i32 i = threadIdx.x; i < pixels; i += blockDim.x) {
        i32 x = i % width, y = i / width;
        u32 a = first[y * first_size.pitch + x], b = second[y * second_size.pitch + x];
        atomicAdd(&counts[a], 1u);
        atomicAdd(&counts[256 + b], 1u);
        count_pair(table, slots - 1, a << 8 | b);
    }
    __syncthreads();

    u64 sum_first = 0, sum_second = 0, sum_joint = 0;
    for (u32 i = threadIdx.x; i < 256; i += blockDim.x) {
        sum_first += terms[counts[i]];
        sum_second += terms[counts[256 + i]];
    }
    for (u32 i = threadIdx.x; i < slots; i += blockDim.x) {
        if (table[i] != FREE) sum_joint += terms[table[i] & 0xffffu];
    }
    sum_first = block_sum(sum_first, parts);
    sum_second = block_sum(sum_second, parts + 32);
    sum_joint = block_sum(sum_joint, parts + 64);
    if (threadIdx.x == 0) {
        u64 top = terms[pixels];
        u64 a = top > sum_first ? top - sum_first : 0, b = top > sum_second ? top - sum_second : 0;
        u64 joint = top > sum_joint ? top - sum_joint : 0;
        // What rounding could break is mended as in the core: max(H(A), H(B)) <= H(A, B) <= H(A) + H(B).
        joint = joint > a ? joint : a;
        joint = joint > b ? joint : b;
        joint = joint < a + b ? joint : a + b;
        out[blockIdx.x] = (float)((double)(a + b - joint) * nats);
    }
}
