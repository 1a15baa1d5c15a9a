// The machine behind simt.hpp: threads as fibers, memory, and what the checker knows of it.
#pragma once
#include "simt.hpp"
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace simt {

struct Kernel {
    std::string name;
    void (*run)(void **);
    std::vector<unsigned> sizes;  // of the parameters, in bytes
    unsigned most_shared = 48 << 10;
};

enum class State { READY, AT_BARRIER, AT_WARP, DONE };

// A thread. `clocks` is what this lane knows of the clocks of its warp's lanes.
struct Fiber : Thread {
    void *stack_pointer;
    unsigned char *stack;
    State state;
    int line;
    Warp what;
    unsigned mask, from;
    uint64_t value, result;
    uint32_t clocks[32];
};

// The last access to a byte: thread (counted from 1 over the launch), barriers that it had passed, its clock.
struct Access {
    uint32_t thread, epoch, clock;
};
// `several_readers`: since the last barrier; `other_blocks`: threads of several blocks have read since the last write.
struct Byte {
    Access write, read;
    bool known, atomic_write, several_readers, other_blocks;
};

// A part of memory that kernels may use, but for what is forbidden; `bytes` only in the checked variant.
struct Memory {
    unsigned char *base = nullptr;
    size_t size = 0;
    std::vector<Byte> bytes;
    std::vector<bool> forbidden;
};

constexpr size_t STACK = 64 << 10;
constexpr unsigned MOST_SHARED = 227 << 10;

extern std::mutex mutex;        // one launch, one change of memory at a time
extern const Kernel *running;
extern uint32_t epoch;          // barriers passed, counted over a launch
extern bool checking, preempting;
extern Memory static_shared, dynamic_shared;
extern std::map<uintptr_t, Memory *> global;

std::map<std::string, Kernel> &kernels();
void report(const std::string &what);
std::string name_of(const Fiber &fiber);
Fiber *current();
void yield();
uint64_t random();

// The allocation that holds an address.
Memory *find(uintptr_t address);
void forget_last_found();
void check_access(const volatile void *address, unsigned size, bool write, bool atomic);

bool launch(Kernel &kernel, dim3 blocks, dim3 threads, unsigned shared, void **arguments);

}  // namespace simt
