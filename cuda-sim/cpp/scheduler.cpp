// Runs the threads of a launch: blocks one after another, the threads of a block as fibers, in a chosen order.
#include "machine.hpp"
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <sys/mman.h>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

// The kernels' static shared variables, collected by the linker; absent when there are none.
extern "C" unsigned char __start_simt_shared[] __attribute__((weak));
extern "C" unsigned char __stop_simt_shared[] __attribute__((weak));
extern "C" unsigned char *const __start_simt_guards[] __attribute__((weak));
extern "C" unsigned char *const __stop_simt_guards[] __attribute__((weak));

namespace simt {

Block block;
std::mutex mutex;
const Kernel *running;
uint32_t epoch;
bool checking, preempting;

static std::vector<Fiber> fibers;
static std::vector<unsigned char *> stacks;
static void **arguments;
static void *scheduler;  // its stack pointer
static uint64_t random_state;
static std::atomic<unsigned> order{0};  // 0 forward, 1 reverse, others random with that seed
static std::vector<std::string> reports;
static size_t report_count;

std::map<std::string, Kernel> &kernels() {
    static std::map<std::string, Kernel> all;
    return all;
}
void add_kernel(const char *name, void (*run)(void **), int parameters, const unsigned *sizes) {
    kernels()[name] = Kernel{name, run, std::vector<unsigned>(sizes, sizes + parameters)};
}

void report(const std::string &what) {
    if (report_count++ < 20) reports.push_back(what);
}
std::string name_of(const Fiber &fiber) {
    char text[160];
    snprintf(text, sizeof text, "%s, block (%u, %u, %u), thread (%u, %u, %u)", running->name.c_str(), block.index.x,
             block.index.y, block.index.z, fiber.index.x, fiber.index.y, fiber.index.z);
    return text;
}

uint64_t random() {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}
template <class T> static void shuffle_order(std::vector<T> &items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random() % i]);
}
template <class T> static std::vector<T> first_order(size_t count) {
    std::vector<T> items(count);
    for (size_t i = 0; i < count; ++i) items[i] = (T)(order == 1 ? count - 1 - i : i);
    return items;
}

// ---- fibers ----

Fiber *current() { return static_cast<Fiber *>(block.thread); }

static void body() {
    running->run(arguments);
    current()->state = State::DONE;
    for (;;) yield();
}

#if defined(__x86_64__)
extern "C" void simt_switch(void **save, void *to);
// The registers that a call keeps (System V), and the stack.
asm(R"(
.text
.globl simt_switch
.hidden simt_switch
.type simt_switch,@function
simt_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size simt_switch,.-simt_switch
)");
static void prepare(Fiber &fiber) {
    void **top = (void **)(fiber.stack + STACK);
    *--top = nullptr;
    *--top = (void *)&body;
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    fiber.stack_pointer = top;
}
static void resume(Fiber &fiber) { simt_switch(&scheduler, fiber.stack_pointer); }
void yield() {
    Fiber *fiber = current();
    simt_switch(&fiber->stack_pointer, scheduler);
}
#else
static ucontext_t home;
static std::vector<ucontext_t> contexts;
static void prepare(Fiber &fiber) {
    contexts.resize(std::max(contexts.size(), fibers.size()));
    ucontext_t &context = contexts[fiber.number];
    getcontext(&context);
    context.uc_stack = {fiber.stack, 0, STACK};
    context.uc_link = nullptr;
    makecontext(&context, &body, 0);
}
static void resume(Fiber &fiber) { swapcontext(&home, &contexts[fiber.number]); }
void yield() { swapcontext(&contexts[current()->number], &home); }
#endif

void barrier(int line) {
    Fiber *fiber = current();
    fiber->state = State::AT_BARRIER;
    fiber->line = line;
    yield();
}

uint64_t warp(Warp what, unsigned mask, uint64_t value, unsigned from, int line) {
    Fiber *fiber = current();
    fiber->state = State::AT_WARP;
    fiber->what = what;
    fiber->mask = mask;
    fiber->value = value;
    fiber->from = from;
    fiber->line = line;
    yield();
    return fiber->result;
}

// ---- a block ----

static std::string at_line(int line) { return " at line " + std::to_string(line) + ": "; }

// Whether all lanes that a lane waits for have come to where it waits.
static bool complete(const Fiber &fiber, Fiber *lanes, unsigned count) {
    bool all = true;
    for (unsigned lane = 0; lane < 32; ++lane) {
        if (!(fiber.mask >> lane & 1)) continue;
        if (lane >= count) {
            report("warp operation names a lane that does not exist" + at_line(fiber.line) + name_of(fiber));
        } else if (lanes[lane].state == State::DONE) {
            report("warp operation names a lane that has exited" + at_line(fiber.line) + name_of(fiber));
        } else {
            const Fiber &other = lanes[lane];
            all = all && other.state == State::AT_WARP && other.what == fiber.what && other.mask == fiber.mask &&
                  other.line == fiber.line;
        }
    }
    return all;
}

static void release(const Fiber &first, Fiber *lanes, unsigned count) {
    unsigned mask = first.mask, ballot = 0;
    uint32_t joined[32] = {0};
    auto each = [&](auto act) {
        for (unsigned lane = 0; lane < count; ++lane) {
            if (mask >> lane & 1 && lanes[lane].state == State::AT_WARP) act(lane, lanes[lane]);
        }
    };
    each([&](unsigned lane, Fiber &fiber) {
        if (fiber.value) ballot |= 1u << lane;
        for (int i = 0; i < 32; ++i) joined[i] = std::max(joined[i], fiber.clocks[i]);
    });
    Warp what = first.what;
    each([&](unsigned lane, Fiber &fiber) {
        if (what == Warp::BALLOT) {
            fiber.result = ballot;
        } else if (what == Warp::SHUFFLE) {
            bool active = fiber.from < count && mask >> fiber.from & 1;
            if (!active) report("shuffle from an inactive lane" + at_line(fiber.line) + name_of(fiber));
            fiber.result = active ? lanes[fiber.from].value : 0xdeadbeefdeadbeefull;
        } else {
            // Only __syncwarp orders accesses to memory.
            memcpy(fiber.clocks, joined, sizeof joined);
            fiber.clocks[lane]++;
        }
    });
    each([&](unsigned, Fiber &fiber) { fiber.state = State::READY; });
}

static void release_warps(unsigned count) {
    for (unsigned start = 0; start < count; start += 32) {
        unsigned lanes = std::min(32u, count - start);
        for (unsigned lane = 0; lane < lanes; ++lane) {
            Fiber &fiber = fibers[start + lane];
            if (fiber.state == State::AT_WARP && complete(fiber, &fibers[start], lanes)) {
                release(Fiber(fiber), &fibers[start], lanes);
            }
        }
    }
}

// When no thread can run: opens the barrier that all wait at; false when there is none.
static bool open_barrier(unsigned count) {
    unsigned waiting = 0, done = 0;
    int line = -1;
    bool same = true;
    for (unsigned i = 0; i < count; ++i) {
        done += fibers[i].state == State::DONE;
        if (fibers[i].state != State::AT_BARRIER) continue;
        ++waiting;
        same = same && (line < 0 || line == fibers[i].line);
        line = fibers[i].line;
    }
    if (waiting == 0 || waiting + done != count) return false;
    if (done) report("barrier after other threads of the block have exited" + at_line(line) + running->name);
    if (!same) report("threads of a block wait at different barriers: " + running->name);
    ++epoch;
    for (unsigned i = 0; i < count; ++i) {
        if (fibers[i].state == State::AT_BARRIER) fibers[i].state = State::READY;
    }
    return true;
}

static bool run_block(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
        Fiber &fiber = fibers[i];
        dim3 size = block.threads;
        fiber.number = i;
        fiber.index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
        fiber.state = State::READY;
        fiber.stack = stacks[i];
        memset(fiber.clocks, 0, sizeof fiber.clocks);
        fiber.clocks[i & 31] = 1;
        prepare(fiber);
    }
    for (Memory *shared : {&static_shared, &dynamic_shared}) {
        memset(shared->base, 0xff, shared->size);
        std::fill(shared->bytes.begin(), shared->bytes.end(), Byte{});
    }
    ++epoch;
    std::vector<unsigned> turns = first_order<unsigned>(count);
    for (;;) {
        bool ran = false;
        if (order > 1) shuffle_order(turns);
        for (unsigned i : turns) {
            if (fibers[i].state != State::READY) continue;
            block.thread = &fibers[i];
            resume(fibers[i]);
            block.thread = nullptr;
            ran = true;
        }
        release_warps(count);
        if (ran) continue;
        auto is = [&](State state) {
            return [state](const Fiber &fiber) { return fiber.state == state; };
        };
        auto end = fibers.begin() + count;
        if (std::all_of(fibers.begin(), end, is(State::DONE))) return true;
        if (std::any_of(fibers.begin(), end, is(State::READY)) || open_barrier(count)) continue;
        report("deadlock: threads wait at barriers or warp operations that others never reach: " + running->name);
        return false;
    }
}

// ---- a launch ----

static void prepare_memory(unsigned shared, std::vector<unsigned char> &buffer) {
    buffer.assign(shared + 32, 0);
    block.shared = (unsigned char *)(((uintptr_t)buffer.data() + 15) & ~(uintptr_t)15);
    dynamic_shared.base = block.shared;
    dynamic_shared.size = shared;
    static_shared.base = __start_simt_shared;
    static_shared.size = __stop_simt_shared - __start_simt_shared;
    if (!checking) return;
    for (Memory *memory : {&dynamic_shared, &static_shared}) memory->bytes.assign(memory->size, Byte{});
    static_shared.forbidden.assign(static_shared.size, false);
    for (auto guard = __start_simt_guards; guard != __stop_simt_guards; ++guard) {
        size_t at = *guard - static_shared.base;
        std::fill_n(static_shared.forbidden.begin() + at, GUARD, true);
    }
    for (auto &entry : global) {
        for (Byte &byte : entry.second->bytes) byte = Byte{{}, {}, byte.known, false, false, false};
    }
}

bool launch(Kernel &kernel, dim3 blocks, dim3 threads, unsigned shared, void **given) {
    std::lock_guard<std::mutex> lock(mutex);
    unsigned count = threads.x * threads.y * threads.z;
    if (count == 0 || count > 1024 || shared > kernel.most_shared) return false;
    random_state = 0x9e3779b97f4a7c15ull * (order + 1) | 1;
    preempting = checking && order > 1;
    running = &kernel;
    block.threads = threads;
    block.blocks = blocks;
    while (stacks.size() < count) {
        void *stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (stack == MAP_FAILED) return false;
        stacks.push_back((unsigned char *)stack);
    }
    if (fibers.size() < count) fibers.resize(count);
    std::vector<unsigned char> buffer;
    prepare_memory(shared, buffer);

    // Arguments are copied at the launch.
    size_t room = 0;
    for (unsigned size : kernel.sizes) room += (size + 15) / 16 * 16;
    std::vector<float4> copies(room / 16);
    std::vector<void *> addresses;
    unsigned char *at = (unsigned char *)copies.data();
    for (size_t i = 0; i < kernel.sizes.size(); ++i) {
        memcpy(at, given[i], kernel.sizes[i]);
        addresses.push_back(at);
        at += (kernel.sizes[i] + 15) / 16 * 16;
    }
    arguments = addresses.data();
    epoch = 0;
    std::vector<uint64_t> turns = first_order<uint64_t>((size_t)blocks.x * blocks.y * blocks.z);
    if (order > 1) shuffle_order(turns);
    for (uint64_t i : turns) {
        block.index = {(unsigned)(i % blocks.x), (unsigned)(i / blocks.x % blocks.y), (unsigned)(i / blocks.x / blocks.y)};
        if (!run_block(count)) return false;
    }
    return true;
}

}  // namespace simt

// ---- for tests ----

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT void simt_set_order(unsigned order) { simt::order = order; }

// How many reports there were since the last call; the first of them as lines of text.
EXPORT size_t simt_take_reports(char *text, size_t size) {
    std::string all;
    for (const std::string &report : simt::reports) all += report + "\n";
    if (size > 0) {
        size_t length = std::min(size - 1, all.size());
        memcpy(text, all.data(), length);
        text[length] = 0;
    }
    size_t count = simt::report_count;
    simt::reports.clear();
    simt::report_count = 0;
    return count;
}

// Launches a kernel by its name, without a module. 0: done; 1: no such kernel; 2: it could not run to its end.
EXPORT int simt_launch(const char *name, unsigned blocks, unsigned threads, unsigned shared, void **arguments) {
    auto found = simt::kernels().find(name);
    if (found == simt::kernels().end()) return 1;
    return simt::launch(found->second, {blocks, 1, 1}, {threads, 1, 1}, shared, arguments) ? 0 : 2;
}
