// The driver API as far as cudarc calls it for these kernels. Everything happens at once: streams and events are names.
#include "machine.hpp"
#include <atomic>
#include <cstdio>

#define EXPORT extern "C" __attribute__((visibility("default")))

using namespace simt;

typedef int Result;
enum : Result {
    OK = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    INVALID_DEVICE = 101,
    UNSUPPORTED_PTX = 222,
    NOT_FOUND = 500,
    LAUNCH_FAILED = 719
};

struct Module {
    std::string ptx;
};

// Two devices, each with its context.
static const int DEVICES = 2;
static int contexts[DEVICES], a_stream, an_event;
static thread_local void *bound_context;
static int version = 12080, capability = 9;
static size_t memory_limit = (size_t)-1, memory_used;
// Kernels that write past an allocation's end hit this before anything else's memory.
static const size_t PADDING = 4096;

EXPORT void simt_set_driver(int driver_version, int major_capability) {
    version = driver_version;
    capability = major_capability;
}
EXPORT void simt_set_memory_limit(size_t bytes) { memory_limit = bytes; }

// Calls that succeed before one fails; below 0, none does.
static std::atomic<long> before_failure{-1};
static std::atomic<Result> failure{OK};
EXPORT void simt_set_failure(long calls, int result) {
    failure = result;
    before_failure = calls;
}
// Whether the failure that was set has happened.
EXPORT int simt_has_failed() { return failure != OK && before_failure < 0; }
static bool fails() { return before_failure >= 0 && before_failure-- == 0; }
#define MAY_FAIL \
    if (fails()) return failure

// ---- devices, contexts, streams, events ----

EXPORT Result cuInit(unsigned) {
    MAY_FAIL;
#ifdef SIMT_CHECKED
    checking = true;
#endif
    return OK;
}
EXPORT Result cuDriverGetVersion(int *out) { return *out = version, OK; }
EXPORT Result cuDeviceGetCount(int *count) {
    MAY_FAIL;
    return *count = DEVICES, OK;
}
EXPORT Result cuDeviceGet(int *device, int ordinal) {
    MAY_FAIL;
    return *device = ordinal, ordinal < 0 || ordinal >= DEVICES ? INVALID_DEVICE : OK;
}
EXPORT Result cuDeviceGetName(char *name, int size, int) { return snprintf(name, size, "stand-in on a CPU"), OK; }
EXPORT Result cuDeviceGetAttribute(int *value, int attribute, int) {
    MAY_FAIL;
    switch (attribute) {
        case 1: *value = 1024; break;         // threads per block
        case 8: *value = 48 << 10; break;     // shared memory per block
        case 10: *value = 32; break;          // warp
        case 16: *value = 132; break;         // multiprocessors
        case 75: *value = capability; break;
        case 97: *value = MOST_SHARED; break; // on request
        default: *value = 0;
    }
    return OK;
}
EXPORT Result cuDevicePrimaryCtxRetain(void **context, int device) {
    MAY_FAIL;
    return *context = &contexts[device], OK;
}
EXPORT Result cuDevicePrimaryCtxRelease_v2(int) { return OK; }
EXPORT Result cuCtxSetCurrent(void *context) {
    MAY_FAIL;
    return bound_context = context, OK;
}
EXPORT Result cuCtxGetCurrent(void **context) { return *context = bound_context, OK; }
EXPORT Result cuCtxGetDevice(int *device) { return *device = bound_context == &contexts[1], OK; }
EXPORT Result cuCtxSynchronize() { return OK; }
EXPORT Result cuStreamCreate(void **stream, unsigned) {
    MAY_FAIL;
    return *stream = &a_stream, OK;
}
EXPORT Result cuStreamDestroy_v2(void *) { return OK; }
EXPORT Result cuStreamSynchronize(void *) {
    MAY_FAIL;
    return OK;
}
EXPORT Result cuStreamWaitEvent(void *, void *, unsigned) {
    MAY_FAIL;
    return OK;
}
EXPORT Result cuStreamIsCapturing(void *, int *status) { return *status = 0, OK; }
EXPORT Result cuEventCreate(void **event, unsigned) {
    MAY_FAIL;
    return *event = &an_event, OK;
}
EXPORT Result cuEventDestroy_v2(void *) { return OK; }
EXPORT Result cuEventRecord(void *, void *) {
    MAY_FAIL;
    return OK;
}
EXPORT Result cuEventSynchronize(void *) { return OK; }
EXPORT Result cuEventQuery(void *) { return OK; }

// ---- memory ----

EXPORT Result cuMemAlloc_v2(uint64_t *address, size_t size) {
    MAY_FAIL;
    std::lock_guard<std::mutex> lock(mutex);
    if (size == 0) return INVALID_VALUE;
    if (size > memory_limit || memory_used > memory_limit - size) return OUT_OF_MEMORY;
    unsigned char *start = (unsigned char *)aligned_alloc(256, (size + 255) / 256 * 256 + 2 * PADDING);
    if (!start) return OUT_OF_MEMORY;
    Memory *memory = new Memory;
    memory->base = start + PADDING;
    memory->size = size;
    // NaN as a number, out of range as an index.
    memset(memory->base, 0xff, size);
    if (checking) memory->bytes.assign(size, Byte{});
    memory_used += size;
    global[(uintptr_t)memory->base] = memory;
    *address = (uint64_t)memory->base;
    return OK;
}
EXPORT Result cuMemFree_v2(uint64_t address) {
    std::lock_guard<std::mutex> lock(mutex);
    auto found = global.find(address);
    if (found == global.end()) return INVALID_VALUE;
    forget_last_found();
    memory_used -= found->second->size;
    free(found->second->base - PADDING);
    delete found->second;
    global.erase(found);
    return OK;
}
EXPORT Result cuMemAllocAsync(uint64_t *address, size_t size, void *) { return cuMemAlloc_v2(address, size); }
EXPORT Result cuMemFreeAsync(uint64_t address, void *) { return cuMemFree_v2(address); }

// Whether an allocation holds all of it; what is written there from outside is known.
static Result touch(uint64_t address, size_t size, bool write) {
    std::lock_guard<std::mutex> lock(mutex);
    if (size == 0) return OK;
    Memory *memory = find(address);
    if (!memory || address + size > (uint64_t)memory->base + memory->size) return INVALID_VALUE;
    for (size_t i = 0; write && checking && i < size; ++i) {
        memory->bytes[address - (uint64_t)memory->base + i].known = true;
    }
    return OK;
}
EXPORT Result cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t size) {
    MAY_FAIL;
    Result result = touch(to, size, true);
    if (result == OK) memcpy((void *)to, from, size);
    return result;
}
EXPORT Result cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size) {
    MAY_FAIL;
    Result result = touch(from, size, false);
    if (result == OK) memcpy(to, (void *)from, size);
    return result;
}
EXPORT Result cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *) {
    return cuMemcpyHtoD_v2(to, from, size);
}
EXPORT Result cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *) {
    return cuMemcpyDtoH_v2(to, from, size);
}
EXPORT Result cuMemsetD8_v2(uint64_t to, unsigned char value, size_t size) {
    MAY_FAIL;
    Result result = touch(to, size, true);
    if (result == OK) memset((void *)to, value, size);
    return result;
}
EXPORT Result cuMemsetD8Async(uint64_t to, unsigned char value, size_t size, void *) {
    return cuMemsetD8_v2(to, value, size);
}

// ---- modules and launches ----

EXPORT Result cuModuleLoadData(void **module, const void *image) {
    MAY_FAIL;
    std::string ptx = (const char *)image;
    int major = 0, minor = 0;
    size_t at = ptx.find(".version ");
    if (at == std::string::npos || sscanf(ptx.c_str() + at, ".version %d.%d", &major, &minor) != 2) return UNSUPPORTED_PTX;
    // PTX 8.n belongs to CUDA 12.n.
    if (1000 * (major + 4) + 10 * minor > version) return UNSUPPORTED_PTX;
    *module = new Module{ptx};
    return OK;
}
EXPORT Result cuModuleUnload(void *module) { return delete (Module *)module, OK; }

// Sizes of the parameters that the PTX declares for a kernel.
static bool declared_sizes(const std::string &ptx, const std::string &name, std::vector<unsigned> &sizes) {
    size_t at = ptx.find(".entry " + name + "(");
    if (at == std::string::npos) return false;
    std::string list = ptx.substr(at, ptx.find(')', at) - at);
    for (size_t p = list.find(".param "); p != std::string::npos; p = list.find(".param ", p + 1)) {
        std::string one = list.substr(p, list.find('\n', p) - p);
        size_t bracket = one.find('['), type = one.find_first_of("0123456789", one.find_first_of("subf", 8));
        sizes.push_back(bracket != std::string::npos ? atoi(one.c_str() + bracket + 1) : atoi(one.c_str() + type) / 8);
    }
    return true;
}
EXPORT Result cuModuleGetFunction(void **function, void *module, const char *name) {
    MAY_FAIL;
    auto found = kernels().find(name);
    std::vector<unsigned> sizes;
    if (found == kernels().end() || !declared_sizes(((Module *)module)->ptx, name, sizes)) return NOT_FOUND;
    // Old PTX beside new source.
    if (sizes != found->second.sizes) return NOT_FOUND;
    *function = &found->second;
    return OK;
}
EXPORT Result cuFuncSetAttribute(void *function, int attribute, int value) {
    MAY_FAIL;
    if (attribute != 8) return OK;
    if (value < 0 || (unsigned)value > MOST_SHARED) return INVALID_VALUE;
    ((Kernel *)function)->most_shared = (unsigned)value;
    return OK;
}
EXPORT Result cuFuncGetAttribute(int *value, int, void *) { return *value = 0, OK; }
EXPORT Result cuLaunchKernel(void *function, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x,
                             unsigned threads_y, unsigned threads_z, unsigned shared, void *, void **arguments, void **) {
    MAY_FAIL;
    if (!blocks_x || !blocks_y || !blocks_z || blocks_y > 65535 || blocks_z > 65535) return INVALID_VALUE;
    bool done = launch(*(Kernel *)function, {blocks_x, blocks_y, blocks_z}, {threads_x, threads_y, threads_z}, shared,
                       arguments);
    return done ? OK : LAUNCH_FAILED;
}

EXPORT Result cuGetErrorName(Result result, const char **name) {
    return *name = result == OK ? "CUDA_SUCCESS" : "CUDA_ERROR", OK;
}
EXPORT Result cuGetErrorString(Result result, const char **text) {
    switch (result) {
        case OK: *text = "no error"; break;
        case OUT_OF_MEMORY: *text = "out of memory"; break;
        case LAUNCH_FAILED: *text = "unspecified launch failure"; break;
        default: *text = "an error of the stand-in";
    }
    return OK;
}
