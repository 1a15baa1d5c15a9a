// Checks every access of a kernel: bounds, alignment, values that were never written, and races by CUDA's rules.
//
// The kernels are compiled with -fsanitize=thread, whose callbacks are defined here; its library is not linked.
#include "machine.hpp"

namespace simt {

Memory static_shared, dynamic_shared;
std::map<uintptr_t, Memory *> global;
static Memory *last_found;

static bool holds(const Memory &memory, uintptr_t address) {
    return address >= (uintptr_t)memory.base && address < (uintptr_t)memory.base + memory.size;
}

Memory *find(uintptr_t address) {
    if (last_found && holds(*last_found, address)) return last_found;
    auto next = global.upper_bound(address);
    if (next == global.begin()) return nullptr;
    Memory *memory = std::prev(next)->second;
    return holds(*memory, address) ? last_found = memory : nullptr;
}
void forget_last_found() { last_found = nullptr; }

// The running thread as the checker sees it.
struct Now {
    const Fiber &fiber;
    uint32_t block_size, thread;  // thread: over the launch, from 1

    explicit Now(const Fiber &fiber) : fiber(fiber) {
        block_size = block.threads.x * block.threads.y * block.threads.z;
        uint32_t number = (block.index.z * block.blocks.y + block.index.y) * block.blocks.x + block.index.x;
        thread = number * block_size + fiber.number + 1;
    }
    uint32_t block_of(uint32_t other) const { return (other - 1) / block_size; }

    // Whether an access happened before what the thread does now.
    bool after(const Access &access) const {
        if (access.thread == 0 || access.thread == thread) return true;
        // Blocks are never ordered within a launch.
        if (block_of(access.thread) != block_of(thread)) return false;
        if (access.epoch < epoch) return true;
        // Since the last barrier only __syncwarp orders, within a warp.
        uint32_t other = (access.thread - 1) % block_size;
        return other / 32 == fiber.number / 32 && fiber.clocks[other % 32] >= access.clock;
    }
};

static const char *conflict(const Byte &byte, const Now &now, bool write, bool atomic) {
    bool both_atomic = atomic && byte.atomic_write;
    if (!both_atomic && !now.after(byte.write)) return write ? "write after write" : "read after write";
    if (!write || byte.read.thread == 0) return nullptr;
    if (byte.other_blocks) return "write after read";
    if (!byte.several_readers) return now.after(byte.read) ? nullptr : "write after read";
    // All readers were of one block; whether all have passed a barrier says the last one's.
    bool ordered = byte.read.epoch < epoch && now.block_of(byte.read.thread) == now.block_of(now.thread);
    return ordered ? nullptr : "write after read";
}

SIMT_UNCHECKED void check_access(const volatile void *pointer, unsigned size, bool write, bool atomic) {
    if (!checking || !block.thread) return;
    Fiber &fiber = *current();
    uintptr_t address = (uintptr_t)pointer;
    auto within = [&](const void *start, size_t length) {
        return address >= (uintptr_t)start && address < (uintptr_t)start + length;
    };
    // A thread's own memory, and threadIdx and the like.
    if (within(fiber.stack, STACK) || within(&block, sizeof block) || within(&fiber, sizeof(Thread))) return;
    bool shared = holds(static_shared, address) || holds(dynamic_shared, address);
    Memory *memory = holds(static_shared, address)    ? &static_shared
                     : holds(dynamic_shared, address) ? &dynamic_shared
                                                      : find(address);
    std::string what = std::string(write ? "write" : "read") + " of " + std::to_string(size) + " bytes";
    bool outside = !memory || address + size > (uintptr_t)memory->base + memory->size;
    if (!outside && !memory->forbidden.empty()) {
        // The first and the last byte: a guard is wider than an access.
        size_t first = address - (uintptr_t)memory->base;
        outside = memory->forbidden[first] || memory->forbidden[first + size - 1];
    }
    if (outside) {
        report("out of bounds: " + what + ": " + name_of(fiber));
        return;
    }
    if (address % size) report("misaligned: " + what + ": " + name_of(fiber));
    Now now(fiber);
    Access access = {now.thread, epoch, fiber.clocks[fiber.number & 31]};
    const char *race = nullptr;
    bool unknown = false;
    size_t offset = address - (uintptr_t)memory->base;
    uint32_t other = 0;
    for (unsigned i = 0; i < size; ++i) {
        Byte &byte = memory->bytes[offset + i];
        unknown = unknown || ((!write || atomic) && !byte.known);
        if (const char *found = conflict(byte, now, write, atomic)) {
            race = found;
            other = found == std::string("write after read") ? byte.read.thread : byte.write.thread;
        }
        if (write) {
            byte = Byte{access, {}, true, atomic, false, false};
        } else {
            bool first = byte.read.thread == 0;
            byte.other_blocks |= !first && now.block_of(byte.read.thread) != now.block_of(now.thread);
            byte.several_readers = !now.after(byte.read) || (byte.several_readers && byte.read.epoch == epoch);
            byte.read = access;
        }
    }
    const char *where = shared ? "shared" : "global";
    if (unknown) report(std::string("uninitialised: ") + what + " in " + where + " memory: " + name_of(fiber));
    if (race) {
        report(std::string("race in ") + where + " memory (" + race + ") with thread " +
               std::to_string((other - 1) % now.block_size) + " of block " + std::to_string(now.block_of(other)) +
               ", offset " + std::to_string(offset) + ": " + name_of(fiber));
    }
    if (preempting && (random() & 15) == 0) yield();
}

void before_atomic(const volatile void *address, unsigned size) { check_access(address, size, true, true); }

}  // namespace simt

#ifdef SIMT_CHECKED
#pragma GCC visibility push(hidden)
#define ACCESS(bytes)                                                                                       \
    SIMT_UNCHECKED void __tsan_read##bytes(void *p) { simt::check_access(p, bytes, false, false); }         \
    SIMT_UNCHECKED void __tsan_write##bytes(void *p) { simt::check_access(p, bytes, true, false); }         \
    SIMT_UNCHECKED void __tsan_unaligned_read##bytes(void *p) { simt::check_access(p, bytes, false, false); } \
    SIMT_UNCHECKED void __tsan_unaligned_write##bytes(void *p) { simt::check_access(p, bytes, true, false); }
extern "C" {
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
void __tsan_init() {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void **, void *) {}
void __tsan_read_range(void *p, unsigned long size) {
    for (unsigned long i = 0; i < size; ++i) simt::check_access((char *)p + i, 1, false, false);
}
void __tsan_write_range(void *p, unsigned long size) {
    for (unsigned long i = 0; i < size; ++i) simt::check_access((char *)p + i, 1, true, false);
}
// clang's, for copies of structures.
void *__tsan_memcpy(void *to, const void *from, unsigned long size) {
    __tsan_read_range((void *)from, size);
    __tsan_write_range(to, size);
    return memcpy(to, from, size);
}
void *__tsan_memmove(void *to, const void *from, unsigned long size) {
    __tsan_read_range((void *)from, size);
    __tsan_write_range(to, size);
    return memmove(to, from, size);
}
void *__tsan_memset(void *to, int value, unsigned long size) {
    __tsan_write_range(to, size);
    return memset(to, value, size);
}
}
#pragma GCC visibility pop
#endif
