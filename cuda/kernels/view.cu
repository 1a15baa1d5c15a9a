#include "common.cuh"

// Views of a batch of images: rotated, scaled and shifted parts with another tone, and their points.

// One view: which image it is of, where each of its pixels lies there, and its tone. See the core's Warp and Tone.
struct View {
    i32 image;
    float centre_x, centre_y, turn_x, turn_y, inverse_x, inverse_y;
    float brightness, contrast, gamma;
};

// What views are drawn from: the entropies that separate the tiers, and for each tier low and high ends of brightness,
// contrast and gamma.
struct Guide {
    float medium, high;
    float ends[3][6];
    float rotation, log_scale;
};

// From which pixel each view is taken, its tone by the pixel's tier; the random numbers are those of stream
// `first_stream + view`: brightness, contrast, gamma, angle, scale.
// Bytes: 8 read and 40 written a view. Limit: launch latency.
extern "C" __global__ void plan_views(const float *__restrict__ entropy, const u32 *__restrict__ centres,
                                      View *__restrict__ views, Guide guide, u32 count, u32 per_image, u32 width,
                                      u32 pixels, u64 seed, u64 first_stream) {
    u32 index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count) return;
    u32 image = index / per_image, centre = min(centres[index], pixels - 1);
    float information = entropy[(u64)image * pixels + centre];
    const float *ends = guide.ends[information >= guide.high ? 2 : information >= guide.medium ? 1 : 0];
    float drawn[5];
    for (i32 i = 0; i < 5; ++i) {
        float unit = unit_float(random_bits(seed, first_stream + index, i));
        float low = i < 3 ? ends[2 * i] : i == 3 ? -guide.rotation : -guide.log_scale;
        float high = i < 3 ? ends[2 * i + 1] : i == 3 ? guide.rotation : guide.log_scale;
        drawn[i] = low + (high - low) * unit;
    }
    float sine = sinf(drawn[3]), cosine = cosf(drawn[3]), scale = expf(drawn[4]);
    View view;
    view.image = (i32)image;
    view.centre_x = (float)(centre % width);
    view.centre_y = (float)(centre / width);
    view.turn_x = scale * cosine;
    view.turn_y = scale * sine;
    view.inverse_x = cosine / scale;
    view.inverse_y = sine / scale;
    view.brightness = drawn[0];
    view.contrast = drawn[1];
    view.gamma = drawn[2];
    views[index] = view;
}

// The pixel before a coordinate, the one after it, and the way between them; false on no pixel.
struct Neighbours {
    i32 low, high;
    float part;
};

__device__ __forceinline__ bool neighbours(float at, i32 size, Neighbours &out) {
    float last = (float)(size - 1);
    if (!(at >= -0.5f && at < last + 0.5f)) return false;
    at = fminf(fmaxf(at, 0.0f), last);
    out.low = (i32)floorf(at);
    out.high = min(out.low + 1, size - 1);
    out.part = at - (float)out.low;
    return true;
}

__device__ __forceinline__ float grey(u8 value) { return (float)value / 255.0f; }
__device__ __forceinline__ float grey(float value) { return value; }

__device__ __forceinline__ float mix(float a, float b, float part) { return a + (b - a) * part; }

__device__ __forceinline__ float unit(float value) { return fminf(fmaxf(value, 0.0f), 1.0f); }

template <class T>
__device__ __forceinline__ void make_view(const T *images, const View &view, float *out, Images size, i32 width,
                                          i32 height, float border, double *parts, float *mean) {
    const T *pixels = images + view.image * size.step;
    float middle_x = (float)(width - 1) * 0.5f, middle_y = (float)(height - 1) * 0.5f;
    double sum = 0.0;
    for (i32 i = threadIdx.x; i < width * height; i += blockDim.x) {
        float x = (float)(i % width) - middle_x, y = (float)(i / width) - middle_y;
        Neighbours across, down;
        float value = border;
        if (neighbours(view.centre_x + (x * view.turn_x - y * view.turn_y), size.width, across) &&
            neighbours(view.centre_y + (x * view.turn_y + y * view.turn_x), size.height, down)) {
            const T *top = pixels + down.low * size.pitch, *bottom = pixels + down.high * size.pitch;
            float above = mix(grey(top[across.low]), grey(top[across.high]), across.part);
            float below = mix(grey(bottom[across.low]), grey(bottom[across.high]), across.part);
            value = mix(above, below, down.part);
        }
        value = unit(value * view.brightness);
        sum += (double)value;
        out[i] = value;
    }
    sum = block_sum(sum, parts);
    if (threadIdx.x == 0) *mean = (float)(sum / ((double)width * (double)height));
    __syncthreads();
    float base = (1.0f - view.contrast) * *mean;
    // Each thread meets the pixels that it wrote itself.
    for (i32 i = threadIdx.x; i < width * height; i += blockDim.x) {
        float value = unit(out[i] * view.contrast + base);
        out[i] = view.gamma == 1.0f ? value : powf(value, view.gamma);
    }
}

// A block a view. Bytes: at most 4 reads of the source a pixel (L1 and L2, the source once from DRAM), 12 of the view
// (written, read, written). Limit: DRAM, when there are as many views as the device has multiprocessors.
extern "C" __global__ void make_views_u8(const u8 *__restrict__ images, const View *__restrict__ views,
                                         float *__restrict__ out, Images size, i32 width, i32 height, float border) {
    __shared__ double parts[32];
    __shared__ float mean;
    out += (i64)blockIdx.x * width * height;
    make_view(images, views[blockIdx.x], out, size, width, height, border, parts, &mean);
}

extern "C" __global__ void make_views_f32(const float *__restrict__ images, const View *__restrict__ views,
                                          float *__restrict__ out, Images size, i32 width, i32 height, float border) {
    __shared__ double parts[32];
    __shared__ float mean;
    out += (i64)blockIdx.x * width * height;
    make_view(images, views[blockIdx.x], out, size, width, height, border, parts, &mean);
}

// Points of the images (as pixel indices) in their views: a quadruple of the place in the view and in the image, all
// NaN where the view does not show it. Bytes: 4 read and 16 written a point. Limit: DRAM.
extern "C" __global__ void push_points(const u32 *__restrict__ points, const View *__restrict__ views,
                                       float4 *__restrict__ out, u64 count, u32 per_view, u32 source_width, i32 width,
                                       i32 height) {
    u64 index = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count) return;
    View view = views[index / per_view];
    u32 point = points[index];
    float source_x = (float)(point % source_width), source_y = (float)(point / source_width);
    float x = source_x - view.centre_x, y = source_y - view.centre_y;
    float at_x = (float)(width - 1) * 0.5f + (x * view.inverse_x + y * view.inverse_y);
    float at_y = (float)(height - 1) * 0.5f + (y * view.inverse_x - x * view.inverse_y);
    bool shown = at_x >= -0.5f && at_x < (float)width - 0.5f && at_y >= -0.5f && at_y < (float)height - 0.5f;
    float nan = __uint_as_float(0x7fc00000u);
    out[index] = shown ? make_float4(at_x, at_y, source_x, source_y) : make_float4(nan, nan, nan, nan);
}
