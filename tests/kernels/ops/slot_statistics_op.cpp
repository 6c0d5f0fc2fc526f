// Counting accesses, ranking slots and the slot -> row map: integers, so every device must give the
// same. The scores are one fp32 product.
#include "kernels/slot_statistics.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/kernels/ops/slot_statistics_bench.h"

namespace slotwise::testing {
namespace {

struct CountCase {
  std::int64_t tokens, reads, slots;
  bool masked = false;
};

// Two calls, as two micro-batches of one step. Outputs: counts, touched slots (-1 behind them), how
// many.
OpCase count_case(const CountCase& s) {
  OpCase out;
  out.label = fmt::format("{} tokens x {} of {}{}", s.tokens, s.reads, s.slots,
                          s.masked ? ", some valid" : "");
  const Tensor valid = Tensor::empty({s.tokens}, DType::u8);
  for (std::int64_t m = 0; m < s.tokens; ++m) {
    valid.data<std::uint8_t>()[m] = !s.masked || m % 3 != 1 ? 1 : 0;
  }
  const auto bound = static_cast<std::int32_t>(s.slots);
  out.inputs = {random_integers({s.tokens, s.reads}, 1, bound),
                random_integers({s.tokens, s.reads}, 2, bound), valid};
  out.forward = [s](const Tensors& in) -> Tensors {
    const Device device = in[0].device();
    const Tensor counts = Tensor::zeros({s.slots}, DType::i32, device);
    const std::vector<std::int32_t> none(static_cast<std::size_t>(s.slots), -1);
    const Tensor touched = Tensor::from(none, {s.slots}, device);
    const Tensor touched_count = Tensor::zeros({1}, DType::i32, device);
    for (const int piece : {0, 1}) {
      kernels::count_accesses({.counts = counts,
                               .touched = touched,
                               .touched_count = touched_count,
                               .slots = in[static_cast<std::size_t>(piece)],
                               .valid = s.masked ? in[2] : Tensor()});
    }
    return {counts, touched, touched_count};
  };
  out.reference = [s](const Doubles& in) -> Doubles {
    const auto slots = static_cast<std::size_t>(s.slots);
    Doubles counted{std::vector<double>(slots, 0.0), std::vector<double>(slots, -1.0), {0.0}};
    for (const int piece : {0, 1}) {
      const std::vector<double>& list = in[static_cast<std::size_t>(piece)];
      for (std::size_t i = 0; i < list.size(); ++i) {
        if (in[2][i / static_cast<std::size_t>(s.reads)] == 0.0) continue;
        if (counted[0][static_cast<std::size_t>(list[i])]++ == 0.0) {
          counted[1][static_cast<std::size_t>(counted[2][0]++)] = list[i];
        }
      }
    }
    return counted;
  };
  out.tolerance = 0.0;
  return out;
}

// A list of distinct slots with their counts, and df.
struct Ranked {
  Tensor touched, counts, df, idf;
};
Ranked ranked(std::int64_t accessed, std::int64_t slots) {
  const std::int32_t batches = 9;
  Ranked out{Tensor::empty({accessed}, DType::i32),
             random_integers({slots}, 3, 5),
             random_integers({slots}, 4, batches + 1),
             {}};
  for (std::int64_t i = 0; i < accessed; ++i) {
    out.touched.data<std::int32_t>()[i] = static_cast<std::int32_t>((5 + 7 * i) % slots);
  }
  std::vector<float> idf;
  for (std::int32_t df = 0; df <= batches; ++df) {
    idf.push_back(static_cast<float>(std::log((batches + 1.0) / (df + 1.0))));
  }
  out.idf = Tensor::from(idf, {batches + 1});
  return out;
}

// A list with room behind its slots, whose length is known to the device alone. What stands behind
// them is no slot at all.
struct Padded {
  Tensor list, count;
};
Padded padded(const Tensor& touched, std::int64_t length) {
  for (std::int64_t i = length; i < touched.elements(); ++i) {
    touched.data<std::int32_t>()[i] = 1 << 30;
  }
  return {touched, Tensor::from<std::int32_t>({static_cast<std::int32_t>(length)}, {1})};
}

OpCase score_case(std::int64_t accessed, std::int64_t slots, bool weighted) {
  OpCase out;
  out.label = fmt::format("{} of {}{}", accessed, slots, weighted ? ", weighted" : "");
  const Ranked data = ranked(accessed, slots);
  const Padded list = padded(data.touched, accessed - accessed / 4);
  out.inputs = {list.list, data.counts, data.df, data.idf, list.count};
  out.forward = [weighted](const Tensors& in) -> Tensors {
    const Tensor scores = Tensor::zeros(in[0].shape(), DType::f32, in[0].device());
    kernels::score_slots({.scores = scores,
                          .touched = in[0],
                          .counts = in[1],
                          .df = weighted ? in[2] : Tensor(),
                          .idf = weighted ? in[3] : Tensor(),
                          .touched_count = in[4]});
    return {scores};
  };
  out.reference = [weighted](const Doubles& in) -> Doubles {
    std::vector<double> scores;
    for (std::size_t i = 0; i < static_cast<std::size_t>(in[4][0]); ++i) {
      const auto at = static_cast<std::size_t>(in[0][i]);
      scores.push_back(in[1][at] * (weighted ? in[3][static_cast<std::size_t>(in[2][at])] : 1.0));
    }
    scores.resize(in[0].size(), 0.0);
    return {scores};
  };
  out.tolerance = 1e-7;
  return out;
}

// Small integers as scores: many are equal, and then the lower slot wins.
// `missing`: how much shorter the list is than its room.
OpCase top_case(std::int64_t accessed, std::int64_t slots, std::int64_t count,
                std::int64_t missing = 0) {
  OpCase out;
  out.label = fmt::format("{} of {}", count, accessed - missing);
  const Tensor scores = Tensor::empty({accessed});
  const Tensor drawn = random_integers({accessed}, 5, 4);
  for (std::int64_t i = 0; i < accessed; ++i) {
    scores.data<float>()[i] = static_cast<float>(drawn.data<std::int32_t>()[i]) - 1.0f;
  }
  const Padded list = padded(ranked(accessed, slots).touched, accessed - missing);
  out.inputs = {list.list, scores, list.count};
  out.forward = [count, missing](const Tensors& in) -> Tensors {
    const Tensor selected = Tensor::empty({count}, DType::i32, in[0].device());
    kernels::top_slots({.selected = selected,
                        .touched = in[0],
                        .scores = in[1],
                        .touched_count = missing > 0 ? in[2] : Tensor()});
    return {selected};
  };
  out.reference = [count](const Doubles& in) -> Doubles {
    std::vector<std::size_t> order(static_cast<std::size_t>(in[2][0]));
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return in[1][a] != in[1][b] ? in[1][a] > in[1][b] : in[0][a] < in[0][b];
    });
    std::vector<double> best;
    for (std::size_t i = 0; i < std::min(order.size(), static_cast<std::size_t>(count)); ++i) {
      best.push_back(in[0][order[i]]);
    }
    std::sort(best.begin(), best.end());
    best.resize(static_cast<std::size_t>(count), -1.0);
    return {best};
  };
  out.tolerance = 0.0;
  return out;
}

// What happens to a list [N] at the slots that another list names; `length` of them, and the run
// may ask for the count in[2].
template <class Run, class Change>
OpCase listed_case(std::int64_t listed, std::int64_t slots, std::int64_t length, Run run,
                   Change change) {
  OpCase out;
  out.label = fmt::format("{} of {}", listed, slots);
  const Padded named = padded(ranked(listed, slots).touched, length);
  out.inputs = {random_integers({slots}, 6, 50), named.list, named.count};
  out.forward = [run](const Tensors& in) -> Tensors {
    const Tensor list = in[0].clone();
    run(list, in[1], in[2]);
    return {list};
  };
  out.reference = [change](const Doubles& in) -> Doubles {
    std::vector<double> list = in[0];
    for (std::size_t i = 0; i < static_cast<std::size_t>(in[2][0]); ++i) {
      double& value = list[static_cast<std::size_t>(in[1][i])];
      value = change(value, static_cast<double>(i));
    }
    return {list};
  };
  out.tolerance = 0.0;
  return out;
}

template <class Make>
std::vector<OpCase> at_sizes(Make&& make) {
  return {make(5, 11), make(0, 3), make(1, 1), make(700, 1009)};
}

OpCase map_case(std::int64_t listed, std::int64_t slots, bool clear) {
  return listed_case(
      listed, slots, listed,
      [clear](const Tensor& map, const Tensor& list, const Tensor&) {
        kernels::map_slots({.map = map, .slots = list, .clear = clear});
      },
      [clear](double, double i) { return clear ? -1.0 : i; });
}

const bool registered_count =
    register_op({"count_accesses",
                 [] {
                   return std::vector<OpCase>{count_case({5, 3, 7}), count_case({9, 4, 100, true}),
                                              count_case({1, 1, 1}), count_case({0, 3, 5}),
                                              count_case({300, 17, 1000, true})};
                 },
                 count_bench_cases});

const bool registered_score = register_op({"score_slots",
                                           [] {
                                             auto cases = at_sizes([](auto accessed, auto slots) {
                                               return score_case(accessed, slots, true);
                                             });
                                             cases.push_back(score_case(5, 11, false));
                                             return cases;
                                           },
                                           score_bench_cases});

const bool registered_top =
    register_op({"top_slots",
                 [] {
                   return std::vector<OpCase>{top_case(5, 11, 3),   top_case(5, 11, 5),
                                              top_case(5, 11, 0),   top_case(700, 1009, 100),
                                              top_case(1, 1, 1),    top_case(700, 1009, 300, 500),
                                              top_case(5, 11, 4, 5)};
                 },
                 [] {
                   OpCase test = top_case(1 << 16, (1 << 20) - 3, 500);
                   test.bytes = 8.0 * (1 << 16) + 4.0 * 500;
                   return std::vector<OpCase>{test};
                 }});

const bool registered_map = register_op({"map_slots",
                                         [] {
                                           auto cases = at_sizes([](auto listed, auto slots) {
                                             return map_case(listed, slots, false);
                                           });
                                           cases.push_back(map_case(5, 11, true));
                                           return cases;
                                         },
                                         map_bench_cases});

const bool registered_clear = register_op(
    {"clear_counts",
     [] {
       return at_sizes([](auto listed, auto slots) {
         return listed_case(
             listed, slots, listed - listed / 3,
             [](const Tensor& counts, const Tensor& list, const Tensor& count) {
               kernels::clear_counts({.counts = counts, .slots = list, .slot_count = count});
             },
             [](double, double) { return 0.0; });
       });
     },
     clear_bench_cases});

const bool registered_document =
    register_op({"add_document",
                 [] {
                   return at_sizes([](auto listed, auto slots) {
                     return listed_case(
                         listed, slots, listed - listed / 3,
                         [](const Tensor& df, const Tensor& list, const Tensor& count) {
                           kernels::add_document({.df = df, .slots = list, .slot_count = count});
                         },
                         [](double df, double) { return df + 1.0; });
                   });
                 },
                 document_bench_cases});

// Two lists of distinct slots, of which the second names some of the first's again; -1 in between.
// Outputs: the numbers of both, the map, the slots by number, how many.
OpCase number_case(std::int64_t listed, std::int64_t slots) {
  OpCase out;
  out.label = fmt::format("{} of {}, twice", listed, slots);
  const Tensor first = ranked(listed, slots).touched, second = Tensor::empty_like(first);
  for (std::int64_t i = 0; i < listed; ++i) {
    second.data<std::int32_t>()[i] = static_cast<std::int32_t>((6 + 3 * i) % slots);
    if (i % 5 == 2) first.data<std::int32_t>()[i] = -1;
  }
  out.inputs = {first, second};
  out.forward = [slots](const Tensors& in) -> Tensors {
    const Device device = in[0].device();
    const std::vector<std::int32_t> none(static_cast<std::size_t>(slots), -1);
    Tensors results{Tensor::empty_like(in[0]), Tensor::empty_like(in[1]),
                    Tensor::from(none, {slots}, device), Tensor::from(none, {slots}, device),
                    Tensor::zeros({1}, DType::i32, device)};
    for (const std::size_t list : {0, 1}) {
      kernels::number_slots({.numbers = results[list],
                             .map = results[2],
                             .slot_of = results[3],
                             .used = results[4],
                             .slots = in[list]});
    }
    return results;
  };
  out.reference = [slots](const Doubles& in) -> Doubles {
    const auto all = static_cast<std::size_t>(slots);
    Doubles results{{}, {}, std::vector<double>(all, -1.0), std::vector<double>(all, -1.0), {0.0}};
    for (const std::size_t list : {0, 1}) {
      for (const double slot : in[list]) {
        double number = -1.0;
        if (slot >= 0) {
          double& known = results[2][static_cast<std::size_t>(slot)];
          if (known < 0) {
            results[3][static_cast<std::size_t>(results[4][0])] = slot;
            known = results[4][0]++;
          }
          number = known;
        }
        results[list].push_back(number);
      }
    }
    return results;
  };
  out.tolerance = 0.0;
  return out;
}

OpCase mark_case(std::int64_t listed, std::int64_t slots) {
  OpCase out;
  out.label = fmt::format("{} of {}", listed, slots);
  const Tensor list = ranked(listed, slots).touched;
  if (listed > 2) list.data<std::int32_t>()[1] = -1;
  out.inputs = {list};
  out.forward = [slots](const Tensors& in) -> Tensors {
    const Tensor marks = Tensor::zeros({slots}, DType::u8, in[0].device());
    kernels::mark_slots({.marks = marks, .slots = in[0]});
    return {marks};
  };
  out.reference = [slots](const Doubles& in) -> Doubles {
    std::vector<double> marks(static_cast<std::size_t>(slots), 0.0);
    for (const double slot : in[0]) {
      if (slot >= 0) marks[static_cast<std::size_t>(slot)] = 1.0;
    }
    return {marks};
  };
  out.tolerance = 0.0;
  return out;
}

const bool registered_number =
    register_op({"number_slots", [] { return at_sizes(number_case); }, number_bench_cases});
const bool registered_mark =
    register_op({"mark_slots", [] { return at_sizes(mark_case); }, mark_bench_cases});

}  // namespace
}  // namespace slotwise::testing
