// Unit embeddings of points at several scales in C++, with a plain C interface for ctypes.
//
// The head's last layer reads relu(point + scale) for every point and scale, see
// lerf_ros/field/language.py. Hidden values never reach memory: those of a few rows are made,
// multiplied and forgotten. All arrays are contiguous float32.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#define LERF_INLINE static inline __attribute__((always_inline))

namespace {

constexpr int kRows = 192;    // rows whose hidden values are held
constexpr int kColumns = 32;  // outputs that are computed at once
constexpr float kShortest = 1e-12f;

struct Head {
  const float *panels;  // the weight, (panels, width, kColumns), beyond the last output zero
  const float *bias;    // (panels * kColumns)
  int width, outputs, panels_count;
};

// Vectors of so many floats, wherever they lie. (As arguments of templates they would forget that.)
template <int LANES>
struct Of;
template <>
struct Of<4> {
  typedef float Vector __attribute__((vector_size(16), aligned(4), may_alias));
};
template <>
struct Of<8> {
  typedef float Vector __attribute__((vector_size(32), aligned(4), may_alias));
};
template <>
struct Of<16> {
  typedef float Vector __attribute__((vector_size(64), aligned(4), may_alias));
};

// ROWS rows and one panel of out = hidden weight + bias, LANES floats at once.
template <int LANES, int ROWS>
LERF_INLINE void tile(const float *hidden, const float *panel, const float *bias, int width,
                      float *out, int out_row) {
  using Vector = typename Of<LANES>::Vector;
  constexpr int kVectors = kColumns / LANES;
  Vector sum[ROWS][kVectors];
  for (int r = 0; r < ROWS; ++r)
    for (int v = 0; v < kVectors; ++v)
      sum[r][v] = *reinterpret_cast<const Vector *>(bias + v * LANES);
  for (int k = 0; k < width; ++k) {
    Vector right[kVectors];
    for (int v = 0; v < kVectors; ++v)
      right[v] = *reinterpret_cast<const Vector *>(panel + k * kColumns + v * LANES);
    for (int r = 0; r < ROWS; ++r) {
      const float left = hidden[r * width + k];
      for (int v = 0; v < kVectors; ++v) sum[r][v] += left * right[v];
    }
  }
  for (int r = 0; r < ROWS; ++r)
    for (int v = 0; v < kVectors; ++v)
      *reinterpret_cast<Vector *>(out + r * out_row + v * LANES) = sum[r][v];
}

// Unit embeddings of `count` rows, the first of which is `first` = point * scales + scale.
template <int LANES, int ROWS>
LERF_INLINE void rows(const Head &head, const float *points, const float *scales,
                      int scales_count, int64_t first, int count, float *hidden, float *wide,
                      float *out) {
  const int width = head.width, out_row = head.panels_count * kColumns;
  for (int r = 0; r < count; ++r) {
    const float *point = points + (first + r) / scales_count * width;
    const float *scale = scales + (first + r) % scales_count * width;
    float *to = hidden + r * width;
    for (int k = 0; k < width; ++k) {
      const float sum = point[k] + scale[k];
      to[k] = sum < 0.0f ? 0.0f : sum;
    }
  }
  for (int p = 0; p < head.panels_count; ++p) {
    const float *panel = head.panels + static_cast<int64_t>(p) * width * kColumns;
    const float *bias = head.bias + p * kColumns;
    int r = 0;
    for (; r + ROWS <= count; r += ROWS)
      tile<LANES, ROWS>(hidden + r * width, panel, bias, width,
                        wide + r * out_row + p * kColumns, out_row);
    for (; r < count; ++r)
      tile<LANES, 1>(hidden + r * width, panel, bias, width,
                     wide + r * out_row + p * kColumns, out_row);
  }
  for (int r = 0; r < count; ++r) {
    const float *from = wide + r * out_row;
    float lanes[kColumns] = {};
    for (int c = 0; c < out_row; c += kColumns)
      for (int lane = 0; lane < kColumns; ++lane) lanes[lane] += from[c + lane] * from[c + lane];
    float square = 0.0f;
    for (int lane = 0; lane < kColumns; ++lane) square += lanes[lane];
    const float factor = 1.0f / std::max(std::sqrt(square), kShortest);
    float *to = out + (first + r) * head.outputs;
    for (int c = 0; c < head.outputs; ++c) to[c] = from[c] * factor;
  }
}

void rows_plain(const Head &head, const float *points, const float *scales, int scales_count,
                int64_t first, int count, float *hidden, float *wide, float *out) {
  rows<4, 1>(head, points, scales, scales_count, first, count, hidden, wide, out);
}

using Rows = decltype(&rows_plain);

// One build for every x86-64: the loop is compiled for wider vectors as well, and as many rows go
// together as there are registers.
#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx2,fma"))) void rows_eight(const Head &head, const float *points,
                                                    const float *scales, int scales_count,
                                                    int64_t first, int count, float *hidden,
                                                    float *wide, float *out) {
  rows<8, 3>(head, points, scales, scales_count, first, count, hidden, wide, out);
}

__attribute__((target("avx512f,fma,prefer-vector-width=512"))) void rows_sixteen(
    const Head &head, const float *points, const float *scales, int scales_count, int64_t first,
    int count, float *hidden, float *wide, float *out) {
  rows<16, 12>(head, points, scales, scales_count, first, count, hidden, wide, out);
}

// Whether a machine has vectors of so many floats.
bool has(int lanes) {
  if (lanes == 16) return __builtin_cpu_supports("avx512f") && has(8);
  return lanes < 8 || (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
}

Rows rows_of(int lanes) { return lanes == 16 ? rows_sixteen : lanes == 8 ? rows_eight : rows_plain; }
#else
bool has(int lanes) { return lanes < 8; }
Rows rows_of(int) { return rows_plain; }
#endif

}  // namespace

extern "C" {

// Changes with the meaning of any function below; the loader refuses another number.
int lerf_language_head_version() { return 1; }

// Returns how many floats this machine computes at once: 16, 8 or 4.
int lerf_head_lanes() { return has(16) ? 16 : has(8) ? 8 : 4; }

// Unit embeddings (points, scales, outputs) of what the first layer made of points (points, width)
// and scales (scales, width). `lanes` is at most what `lerf_head_lanes` says.
void lerf_head_embeddings(const float *points, int64_t points_count, const float *scales,
                          int scales_count, const float *weight, const float *bias, int width,
                          int outputs, int lanes, float *out, int threads) {
  const int panels_count = (outputs + kColumns - 1) / kColumns;
  std::vector<float> panels(static_cast<size_t>(panels_count) * width * kColumns, 0.0f);
  std::vector<float> wide_bias(static_cast<size_t>(panels_count) * kColumns, 0.0f);
  std::copy(bias, bias + outputs, wide_bias.begin());
  for (int c = 0; c < outputs; ++c)
    for (int k = 0; k < width; ++k)
      panels[(static_cast<size_t>(c / kColumns) * width + k) * kColumns + c % kColumns] =
          weight[static_cast<size_t>(c) * width + k];
  const Head head{panels.data(), wide_bias.data(), width, outputs, panels_count};
  const Rows run = rows_of(lanes);
  const int64_t total = points_count * scales_count, blocks = (total + kRows - 1) / kRows;
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> hidden(static_cast<size_t>(kRows) * width);
    std::vector<float> wide(static_cast<size_t>(kRows) * panels_count * kColumns);
#pragma omp for schedule(static)
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t first = block * kRows;
      const int count = static_cast<int>(std::min<int64_t>(kRows, total - first));
      run(head, points, scales, scales_count, first, count, hidden.data(), wide.data(), out);
    }
  }
}

}  // extern "C"
