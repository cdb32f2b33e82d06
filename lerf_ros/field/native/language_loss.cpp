// The language loss and its gradient in C++, with a plain C interface for ctypes.
//
// The fast twin of lerf_ros/training/losses.py, language_loss; the formula is told there. In torch
// it is two dozen operators on small tensors. All arrays are contiguous float32.

#include <algorithm>
#include <cmath>
#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define LERF_CLONES __attribute__((target_clones("avx2,fma", "default")))
#else
#define LERF_CLONES
#endif

namespace {

// Sums that run side by side, so that the compiler computes them at once.
constexpr int kLanes = 16;
// Lengths below this count as this long, as in torch's cosine similarity.
constexpr float kShortest = 1e-8f;

struct Sums {
  float embedding[kLanes] = {}, target[kLanes] = {}, both[kLanes] = {}, huber[kLanes] = {};
};

float total(const float *lanes) {
  float sum = 0.0f;
  for (int lane = 0; lane < kLanes; ++lane) sum += lanes[lane];
  return sum;
}

inline float clip(float value, float delta) {
  const float above = value < -delta ? -delta : value;
  return above > delta ? delta : above;
}

LERF_CLONES
void sum_row(const float *__restrict embedding, const float *__restrict target, int size,
             float delta, Sums &__restrict sums) {
  for (int first = 0; first < size; first += kLanes) {
    const int count = std::min(kLanes, size - first);
    for (int lane = 0; lane < count; ++lane) {
      const float e = embedding[first + lane], t = target[first + lane];
      const float difference = e - t, clipped = clip(difference, delta);
      sums.embedding[lane] += e * e;
      sums.target[lane] += t * t;
      sums.both[lane] += e * t;
      // |x| (clipped) - clipped^2 / 2 is x^2 / 2 within the bound and linear beyond it.
      sums.huber[lane] += clipped * (difference - clipped * 0.5f);
    }
  }
}

LERF_CLONES
void grad_row(const float *__restrict embedding, const float *__restrict target, int size,
              float delta, float along, float across, float factor, float *__restrict grad) {
  for (int i = 0; i < size; ++i) {
    const float e = embedding[i], t = target[i];
    grad[i] = (clip(e - t, delta) + along * e - across * t) * factor;
  }
}

}  // namespace

extern "C" {

// Changes with the meaning of any function below; the loader refuses another number.
int lerf_language_loss_version() { return 1; }

// Returns the loss before weighting; `grad` gets `weight` times its gradient with respect to
// `embedding` (points, size), `cosine` the cosine of each row with its target.
float lerf_language_loss(const float *embedding, const float *target, const bool *valid,
                         int64_t points, int size, float delta, float weight, float *grad,
                         float *cosine) {
  int64_t count = 0;
  for (int64_t point = 0; point < points; ++point) count += valid[point];
  const float each = 1.0f / static_cast<float>(std::max<int64_t>(count, 1));
  double loss = 0.0;
  for (int64_t point = 0; point < points; ++point) {
    const float *e = embedding + point * size, *t = target + point * size;
    Sums sums;
    sum_row(e, t, size, delta, sums);
    const float length = std::max(std::sqrt(total(sums.embedding)), kShortest);
    const float wanted = std::max(std::sqrt(total(sums.target)), kShortest);
    const float alike = total(sums.both) / (length * wanted);
    const float share = valid[point] ? each : 0.0f;
    cosine[point] = alike;
    loss += (total(sums.huber) + 1.0f - alike) * share;
    grad_row(e, t, size, delta, alike / (length * length), 1.0f / (length * wanted),
             weight * share, grad + point * size);
  }
  return static_cast<float>(loss);
}

// Sets the gradient behind a ReLU to zero where that let nothing through.
LERF_CLONES
void lerf_relu_backward(const float *__restrict hidden, float *__restrict grad, int64_t count) {
  for (int64_t i = 0; i < count; ++i) grad[i] = hidden[i] > 0.0f ? grad[i] : 0.0f;
}

}  // extern "C"
