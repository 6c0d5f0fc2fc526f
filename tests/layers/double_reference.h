// Plain double-precision pieces from which the tests of layers and memory write their references,
// and gradients of such a reference by central differences.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace slotwise::testing {

using Doubles1 = std::vector<double>;

inline std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

// x [M, in] times the transpose of w [out, in]: [M, out].
inline Doubles1 times_transposed(const Doubles1& x, const Doubles1& w, std::int64_t in) {
  const std::int64_t M = static_cast<std::int64_t>(x.size()) / in;
  const std::int64_t out = static_cast<std::int64_t>(w.size()) / in;
  Doubles1 y(at(M * out), 0.0);
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t o = 0; o < out; ++o) {
      for (std::int64_t i = 0; i < in; ++i)
        y[at(m * out + o)] += x[at(m * in + i)] * w[at(o * in + i)];
    }
  }
  return y;
}

inline Doubles1 plus(Doubles1 a, const Doubles1& b, double factor = 1.0) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += factor * b[i];
  return a;
}

inline double dot(const Doubles1& a, const Doubles1& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// Over rows of `width`; gain: empty, [width], or [G, width] with row r using gain row r % G.
inline Doubles1 rms_normed(Doubles1 x, const Doubles1& gain, std::int64_t width, double epsilon) {
  for (std::size_t row = 0; row * at(width) < x.size(); ++row) {
    double squares = 0.0;
    double* values = x.data() + row * at(width);
    for (std::int64_t i = 0; i < width; ++i) squares += values[i] * values[i];
    const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(width) + epsilon);
    for (std::size_t i = 0; i < at(width); ++i) {
      values[i] *= inverse;
      if (!gain.empty()) values[i] *= gain[(row * at(width) + i) % gain.size()];
    }
  }
  return x;
}

// silu(gate) * up.
inline Doubles1 gated(const Doubles1& gate, Doubles1 up) {
  for (std::size_t i = 0; i < up.size(); ++i) up[i] *= gate[i] / (1.0 + std::exp(-gate[i]));
  return up;
}

// d loss() / d x by central differences; loss() reads x.
template <class Loss>
Doubles1 differences(Doubles1& x, Loss&& loss) {
  constexpr double kStep = 1e-5;
  Doubles1 gradient;
  for (double& value : x) {
    const double before = value;
    value = before + kStep;
    const double above = loss();
    value = before - kStep;
    const double below = loss();
    value = before;
    gradient.push_back((above - below) / (2.0 * kStep));
  }
  return gradient;
}

}  // namespace slotwise::testing
