// A network of one hidden layer with ReLU on the CPU, with a plain C interface for ctypes.
//
// out = w2 relu(w1 x + b1) + b2. Arrays are contiguous float32, row by row: x is (points, inputs),
// w1 (hidden, inputs), w2 (outputs, hidden), as in torch. Points pass through in blocks that stay
// in the first cache, so that hidden values never reach memory; the backward pass computes them
// again. Sums over points are taken chunk by chunk in the same order whatever the threads.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#define LERF_INLINE static inline __attribute__((always_inline))

namespace {

constexpr int kVector = 8;     // floats that are computed at once
constexpr int kBlock = 64;     // points whose hidden values are held
constexpr int kChunk = 1024;   // points whose gradients are summed by one thread

typedef float Vector __attribute__((vector_size(4 * kVector), aligned(4), may_alias));

struct Network {
  const float *w1, *b1, *w2, *b2;
  const float *w1_t, *w2_t;  // transposed: (inputs, hidden), (hidden, outputs)
  int inputs, hidden, outputs;
};

// ROWS rows and COLS vectors of c = a b, or c + a b. a(row, k) = a[row * a_row + k * a_step].
template <int ROWS, int COLS>
LERF_INLINE void tile(const float *a, int64_t a_row, int64_t a_step, const float *b, int64_t b_row,
                      int depth, float *c, int64_t c_row) {
  Vector sum[ROWS][COLS];
  for (int r = 0; r < ROWS; ++r)
    for (int v = 0; v < COLS; ++v)
      sum[r][v] = *reinterpret_cast<const Vector *>(c + r * c_row + v * kVector);
  for (int k = 0; k < depth; ++k) {
    Vector right[COLS];
    for (int v = 0; v < COLS; ++v)
      right[v] = *reinterpret_cast<const Vector *>(b + k * b_row + v * kVector);
    for (int r = 0; r < ROWS; ++r) {
      const float left = a[r * a_row + k * a_step];
      for (int v = 0; v < COLS; ++v) sum[r][v] += left * right[v];
    }
  }
  for (int r = 0; r < ROWS; ++r)
    for (int v = 0; v < COLS; ++v)
      *reinterpret_cast<Vector *>(c + r * c_row + v * kVector) = sum[r][v];
}

template <int ROWS>
LERF_INLINE void strip(const float *a, int64_t a_row, int64_t a_step, const float *b,
                       int64_t b_row, int depth, float *c, int64_t c_row, int cols) {
  int col = 0;
  for (; col + 2 * kVector <= cols; col += 2 * kVector)
    tile<ROWS, 2>(a, a_row, a_step, b + col, b_row, depth, c + col, c_row);
  for (; col + kVector <= cols; col += kVector)
    tile<ROWS, 1>(a, a_row, a_step, b + col, b_row, depth, c + col, c_row);
  for (; col < cols; ++col)
    for (int r = 0; r < ROWS; ++r) {
      float sum = c[r * c_row + col];
      for (int k = 0; k < depth; ++k) sum += a[r * a_row + k * a_step] * b[k * b_row + col];
      c[r * c_row + col] = sum;
    }
}

// c (rows, cols) += a (rows, depth) b (depth, cols).
LERF_INLINE void add_product(const float *a, int64_t a_row, int64_t a_step, const float *b,
                             int64_t b_row, int depth, float *c, int64_t c_row, int rows,
                             int cols) {
  int row = 0;
  for (; row + 4 <= rows; row += 4)
    strip<4>(a + row * a_row, a_row, a_step, b, b_row, depth, c + row * c_row, c_row, cols);
  for (; row < rows; ++row)
    strip<1>(a + row * a_row, a_row, a_step, b, b_row, depth, c + row * c_row, c_row, cols);
}

LERF_INLINE void fill_rows(const float *values, int cols, float *rows, int count) {
  for (int p = 0; p < count; ++p) std::memcpy(rows + p * cols, values, sizeof(float) * cols);
}

LERF_INLINE void hide(const Network &net, const float *x, int count, float *hidden) {
  fill_rows(net.b1, net.hidden, hidden, count);
  add_product(x, net.inputs, 1, net.w1_t, net.hidden, net.inputs, hidden, net.hidden, count,
              net.hidden);
  for (int i = 0; i < count * net.hidden; ++i) hidden[i] = hidden[i] < 0.0f ? 0.0f : hidden[i];
}

LERF_INLINE void forward_chunk(const Network &net, const float *x, int count, float *out,
                               float *hidden) {
  for (int first = 0; first < count; first += kBlock) {
    const int n = std::min(kBlock, count - first);
    hide(net, x + static_cast<int64_t>(first) * net.inputs, n, hidden);
    float *to = out + static_cast<int64_t>(first) * net.outputs;
    fill_rows(net.b2, net.outputs, to, n);
    add_product(hidden, net.hidden, 1, net.w2_t, net.outputs, net.hidden, to, net.outputs, n,
                net.outputs);
  }
}

// Adds to the gradients of the weights, which lie one after the other: w1, b1, w2, b2.
LERF_INLINE void backward_chunk(const Network &net, const float *x, const float *grad_out,
                                int count, float *grad_x, float *grad_weights, float *hidden,
                                float *grad_hidden) {
  const int in = net.inputs, mid = net.hidden, out = net.outputs;
  float *w1 = grad_weights, *b1 = w1 + mid * in, *w2 = b1 + mid, *b2 = w2 + out * mid;
  for (int first = 0; first < count; first += kBlock) {
    const int n = std::min(kBlock, count - first);
    const float *xs = x + static_cast<int64_t>(first) * in;
    const float *gs = grad_out + static_cast<int64_t>(first) * out;
    hide(net, xs, n, hidden);
    std::memset(grad_hidden, 0, sizeof(float) * n * mid);
    add_product(gs, out, 1, net.w2, mid, out, grad_hidden, mid, n, mid);
    for (int i = 0; i < n * mid; ++i) grad_hidden[i] = hidden[i] <= 0.0f ? 0.0f : grad_hidden[i];
    add_product(gs, 1, out, hidden, mid, n, w2, mid, out, mid);
    add_product(grad_hidden, 1, mid, xs, in, n, w1, in, mid, in);
    for (int p = 0; p < n; ++p) {
      for (int j = 0; j < mid; ++j) b1[j] += grad_hidden[p * mid + j];
      for (int j = 0; j < out; ++j) b2[j] += gs[p * out + j];
    }
    if (grad_x) {
      float *to = grad_x + static_cast<int64_t>(first) * in;
      std::memset(to, 0, sizeof(float) * n * in);
      add_product(grad_hidden, mid, 1, net.w1, in, mid, to, in, n, in);
    }
  }
}

// One build for every x86-64: both passes are compiled for AVX2 as well. (target_clones would not
// reach into the functions that are inlined here.)
#if defined(__x86_64__) && defined(__GNUC__)
#define LERF_WIDE __attribute__((target("avx2,fma")))
LERF_WIDE void forward_wide(const Network &net, const float *x, int count, float *out,
                            float *hidden) {
  forward_chunk(net, x, count, out, hidden);
}
LERF_WIDE void backward_wide(const Network &net, const float *x, const float *grad_out, int count,
                             float *grad_x, float *grad_weights, float *hidden,
                             float *grad_hidden) {
  backward_chunk(net, x, grad_out, count, grad_x, grad_weights, hidden, grad_hidden);
}
bool wide() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#else
bool wide() { return false; }
#endif

void forward_plain(const Network &net, const float *x, int count, float *out, float *hidden) {
  forward_chunk(net, x, count, out, hidden);
}
void backward_plain(const Network &net, const float *x, const float *grad_out, int count,
                    float *grad_x, float *grad_weights, float *hidden, float *grad_hidden) {
  backward_chunk(net, x, grad_out, count, grad_x, grad_weights, hidden, grad_hidden);
}
#ifndef LERF_WIDE
constexpr auto forward_wide = forward_plain;
constexpr auto backward_wide = backward_plain;
#endif

std::vector<float> transposed(const float *values, int rows, int cols) {
  std::vector<float> result(static_cast<size_t>(rows) * cols);
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < cols; ++c) result[static_cast<size_t>(c) * rows + r] = values[r * cols + c];
  return result;
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define LERF_CLONES __attribute__((target_clones("avx2,fma", "default")))
#else
#define LERF_CLONES
#endif

LERF_CLONES
void adam(float *__restrict weight, const float *__restrict grad, float *__restrict first,
          float *__restrict second, int64_t count, float rate, float beta1, float beta2,
          float epsilon, float root_correction) {
  for (int64_t i = 0; i < count; ++i) {
    const float g = grad[i];
    first[i] += (1.0f - beta1) * (g - first[i]);
    second[i] = beta2 * second[i] + (1.0f - beta2) * g * g;
    weight[i] -= rate * first[i] / (std::sqrt(second[i]) / root_correction + epsilon);
  }
}

}  // namespace

extern "C" {

// Changes with the meaning of any function below; the loader refuses another number.
int lerf_network_version() { return 2; }

// Whether this machine has the instructions that make these functions worth calling.
int lerf_network_fast() { return wide() ? 1 : 0; }

void lerf_network_forward(const float *x, int64_t points, const float *w1, const float *b1,
                          const float *w2, const float *b2, int inputs, int hidden, int outputs,
                          float *out, int threads) {
  const std::vector<float> w1_t = transposed(w1, hidden, inputs);
  const std::vector<float> w2_t = transposed(w2, outputs, hidden);
  const Network net{w1, b1, w2, b2, w1_t.data(), w2_t.data(), inputs, hidden, outputs};
  const auto run = wide() ? forward_wide : forward_plain;
  const int64_t chunks = (points + kChunk - 1) / kChunk;
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> values(static_cast<size_t>(kBlock) * hidden);
#pragma omp for schedule(dynamic, 1)
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const int64_t first = chunk * kChunk;
      const int count = static_cast<int>(std::min<int64_t>(kChunk, points - first));
      run(net, x + first * inputs, count, out + first * outputs, values.data());
    }
  }
}

// Overwrites `grad_x`, unless it is null, and `grad_weights`: those of w1, b1, w2, b2 in a row.
void lerf_network_backward(const float *x, int64_t points, const float *w1, const float *b1,
                           const float *w2, const float *b2, int inputs, int hidden, int outputs,
                           const float *grad_out, float *grad_x, float *grad_weights,
                           int threads) {
  const std::vector<float> w1_t = transposed(w1, hidden, inputs);
  const Network net{w1, b1, w2, b2, w1_t.data(), nullptr, inputs, hidden, outputs};
  const auto run = wide() ? backward_wide : backward_plain;
  const int64_t chunks = (points + kChunk - 1) / kChunk;
  const size_t size = static_cast<size_t>(hidden) * (inputs + 1) +
                      static_cast<size_t>(outputs) * (hidden + 1);
  std::vector<float> sums(size * static_cast<size_t>(chunks), 0.0f);
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> values(static_cast<size_t>(kBlock) * hidden);
    std::vector<float> grads(static_cast<size_t>(kBlock) * hidden);
#pragma omp for schedule(dynamic, 1)
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const int64_t first = chunk * kChunk;
      const int count = static_cast<int>(std::min<int64_t>(kChunk, points - first));
      run(net, x + first * inputs, grad_out + first * outputs, count,
          grad_x ? grad_x + first * inputs : nullptr,
          sums.data() + static_cast<size_t>(chunk) * size, values.data(), grads.data());
    }
  }
  std::memset(grad_weights, 0, sizeof(float) * size);
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    for (size_t i = 0; i < size; ++i)
      grad_weights[i] += sums[static_cast<size_t>(chunk) * size + i];
}

// One step of Adam (Kingma and Ba 2015, algorithm 1) for weights of `count` numbers; `step` counts
// from 1.
void lerf_adam(float *weight, const float *grad, float *first, float *second, int64_t count,
               int64_t step, double rate, double beta1, double beta2, double epsilon) {
  const double correction1 = 1.0 - std::pow(beta1, step);
  const double correction2 = 1.0 - std::pow(beta2, step);
  adam(weight, grad, first, second, count, static_cast<float>(rate / correction1),
       static_cast<float>(beta1), static_cast<float>(beta2), static_cast<float>(epsilon),
       static_cast<float>(std::sqrt(correction2)));
}

}  // extern "C"
