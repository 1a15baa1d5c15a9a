#include "view.cuh"

// Views through any affine map, deformed before it by a uniform cubic B-spline of control displacements, and their
// points: the core's Elastic, operation by operation.

// One view: which image it is of, the map's matrix from the view to the image and its inverse, and its tone.
struct Field {
    i32 image;
    float pull[6], push[6];
    float brightness, contrast, gamma;
};

// What all views have in common: their size, pixels from a control point to the next (`cell` is the same for indices, at
// most the largest), and how many control points a row has and a view.
struct Grid {
    i32 width, height, cell, columns;
    i64 controls;
    double spacing;
    float spacing_f32;
};

// Weights of the spline, `t` of the way from one control to the next.
template <class T>
struct Weights {
    T at[4];

    __device__ __forceinline__ explicit Weights(T t) {
        T s = (T)1 - t, sixth = (T)(1.0 / 6.0);
        at[0] = s * s * s * sixth;
        at[1] = (((T)3 * t - (T)6) * t * t + (T)4) * sixth;
        at[2] = (((T)3 * s - (T)6) * s * s + (T)4) * sixth;
        at[3] = t * t * t * sixth;
    }
};

template <class T>
struct Place {
    T x, y;
};

// The displacement in a cell of the grid: the controls of each of its four columns, weighted, then those.
template <class T>
__device__ __forceinline__ Place<T> displacement(const float2 *controls, i32 columns, const Weights<T> &across,
                                                 const Weights<T> &down) {
    Place<T> column[4];
#pragma unroll
    for (i32 i = 0; i < 4; ++i) {
        float2 a = controls[i], b = controls[(i64)columns + i];
        float2 c = controls[2 * (i64)columns + i], d = controls[3 * (i64)columns + i];
        column[i].x = ((T)a.x * down.at[0] + (T)b.x * down.at[1]) + ((T)c.x * down.at[2] + (T)d.x * down.at[3]);
        column[i].y = ((T)a.y * down.at[0] + (T)b.y * down.at[1]) + ((T)c.y * down.at[2] + (T)d.y * down.at[3]);
    }
    Place<T> sum;
    sum.x = (column[0].x * across.at[0] + column[1].x * across.at[1]) +
            (column[2].x * across.at[2] + column[3].x * across.at[3]);
    sum.y = (column[0].y * across.at[0] + column[1].y * across.at[1]) +
            (column[2].y * across.at[2] + column[3].y * across.at[3]);
    return sum;
}

__device__ __forceinline__ Place<float> transformed(const float *matrix, float x, float y) {
    Place<float> at = {matrix[0] * x + (matrix[1] * y + matrix[2]), matrix[3] * x + (matrix[4] * y + matrix[5])};
    return at;
}

// A coordinate in fixed point, in units of 2^-32 pixels, rounded down; moved nearer when it is too far.
__device__ __forceinline__ i64 fixed(float at) {
    return (i64)floorf(fminf(fmaxf(at, -536870912.0f), 536870912.0f) * 4294967296.0f);
}

__device__ __forceinline__ bool on_pixel(i64 at, i32 size) {
    i64 pixel = (at + 2147483648ll) >> 32;
    return pixel >= 0 && pixel < size;
}

// The part of a pixel, cut to 24 bits.
__device__ __forceinline__ float part(i64 at) { return (float)((u32)at >> 8) * (1.0f / 16777216.0f); }

__device__ __forceinline__ i32 tap(i64 pixel, i32 size) {
    return pixel < 0 ? 0 : pixel > size - 1 ? size - 1 : (i32)pixel;
}

template <class T>
__device__ __forceinline__ void deform_view(const T *images, const Field *fields, const float2 *controls, float *out,
                                            double *sums, Images size, const Grid &grid, u32 tiles, float border,
                                            double *parts) {
    u32 pixels = grid.width * grid.height;
    Tile tile(pixels, tiles);
    const Field &field = fields[tile.view];
    const T *image = images + field.image * size.step;
    controls += tile.view * grid.controls;
    float spacing = grid.spacing_f32;
    auto value = [&](u32 column, u32 row) {
        i32 i = (i32)column / grid.cell, k = (i32)column - i * grid.cell;
        float v = fminf((float)row + 0.5f, (float)grid.height);
        i32 j = min((i32)v, grid.height) / grid.cell;
        Weights<float> down((v - (float)(j * grid.cell)) / spacing), across(((float)k + 0.5f) / spacing);
        Place<float> d = displacement(controls + (i64)j * grid.columns + i, grid.columns, across, down);
        Place<float> at = transformed(field.pull, (float)column + d.x, (float)row + d.y);
        i64 x = fixed(at.x), y = fixed(at.y);
        if (!on_pixel(x, size.width) || !on_pixel(y, size.height)) return border;
        i32 left = tap(x >> 32, size.width), right = tap((x >> 32) + 1, size.width);
        const T *top = image + tap(y >> 32, size.height) * size.pitch;
        const T *bottom = image + tap((y >> 32) + 1, size.height) * size.pitch;
        float above = mix(grey(top[left]), grey(top[right]), part(x));
        float below = mix(grey(bottom[left]), grey(bottom[right]), part(x));
        return mix(above, below, part(y));
    };
    brighten(value, field.brightness, tile, out, sums, grid.width, pixels, parts);
}

// Resampled and brightened; `tone_elastic_views` does the rest. A block a tile. Bytes: at most 4 reads of the source and 16 of
// the controls a pixel (L1, each once from DRAM), 4 written a pixel, 8 a tile. Limit: L1, and 160 operations a pixel.
extern "C" __global__ void make_elastic_views_u8(const u8 *__restrict__ images, const Field *__restrict__ fields,
                                          const float2 *__restrict__ controls, float *__restrict__ out,
                                          double *__restrict__ sums, Images size, Grid grid, u32 tiles,
                                          float border) {
    __shared__ double parts[VIEW_WARPS];
    deform_view(images, fields, controls, out, sums, size, grid, tiles, border, parts);
}

extern "C" __global__ void make_elastic_views_f32(const float *__restrict__ images, const Field *__restrict__ fields,
                                           const float2 *__restrict__ controls, float *__restrict__ out,
                                           double *__restrict__ sums, Images size, Grid grid, u32 tiles,
                                           float border) {
    __shared__ double parts[VIEW_WARPS];
    deform_view(images, fields, controls, out, sums, size, grid, tiles, border, parts);
}

// Contrast and gamma of those views; otherwise as `tone_views`.
extern "C" __global__ void tone_elastic_views(const Field *__restrict__ fields, const double *__restrict__ sums,
                                       float *__restrict__ out, u32 pixels, u32 tiles) {
    __shared__ double parts[VIEW_WARPS];
    __shared__ float mean;
    finish_tone(fields, sums, out, pixels, tiles, parts, &mean);
}

// The cell of the grid that a coordinate lies in, and the way from its left control to the next.
struct Cell {
    i32 at;
    double part;

    __device__ __forceinline__ Cell(double v, i32 size, const Grid &grid) {
        v = fmin(fmax(v + 0.5, 0.0), (double)size);
        at = (i32)v / grid.cell;
        part = (v - (double)(at * grid.cell)) / grid.spacing;
    }
};

// Points of the images (as pixel indices) in their views: a quadruple of the place in the view and in the image, all
// NaN where the view does not show it. The field is undone by iteration in double precision: 1 step where nothing is
// displaced, 8 to 18 for random displacements, 150 for the steepest possible. Bytes: 4 read and 16 written a point, 128
// read a step (L1). Limit: the latency of the steps, else arithmetic in double precision, 150 operations a step.
extern "C" __global__ void push_elastic_points(const u32 *__restrict__ points, const Field *__restrict__ fields,
                                       const float2 *__restrict__ controls, float4 *__restrict__ out, u64 count,
                                       u32 per_view, u32 source_width, Grid grid) {
    u64 index = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count) return;
    u64 view = index / per_view;
    controls += view * grid.controls;
    u32 point = points[index];
    float source_x = (float)(point % source_width), source_y = (float)(point / source_width);
    Place<float> pushed = transformed(fields[view].push, source_x, source_y);
    float nan = __uint_as_float(0x7fc00000u), infinity = __uint_as_float(0x7f800000u);
    out[index] = make_float4(nan, nan, nan, nan);
    if (!(fabsf(pushed.x) < infinity && fabsf(pushed.y) < infinity)) return;
    double goal_x = (double)pushed.x, goal_y = (double)pushed.y, x = goal_x, y = goal_y;
    for (i32 step = 0; step < 150; ++step) {
        Cell across(x, grid.width, grid), down(y, grid.height, grid);
        Place<double> d = displacement(controls + (i64)down.at * grid.columns + across.at, grid.columns,
                                       Weights<double>(across.part), Weights<double>(down.part));
        double next_x = goal_x - d.x, next_y = goal_y - d.y;
        double moved = fmax(fabs(next_x - x), fabs(next_y - y));
        x = next_x;
        y = next_y;
        if (moved <= 1e-10) break;
    }
    float at_x = (float)x, at_y = (float)y;
    bool shown = at_x >= -0.5f && at_x < (float)grid.width - 0.5f && at_y >= -0.5f && at_y < (float)grid.height - 0.5f;
    if (shown) out[index] = make_float4(at_x, at_y, source_x, source_y);
}
