#include "kernels/product_key.h"

namespace slotwise::kernels {
namespace {

constexpr std::int64_t kMostSlots = 2147483647;

void expect_sizes(const char* op, std::int64_t n, std::int64_t k) {
  SLOTWISE_CHECK(k >= 1 && k <= n, "[{}] expected 1 <= k <= n, got k = {} and n = {} sub-keys", op,
                 k, n);
  SLOTWISE_CHECK(n * n <= kMostSlots, "[{}] expected n^2 <= 2^31 - 1 slots, got n = {} sub-keys",
                 op, n);
}

void expect_query_and_keys(const char* op, const Tensor& query, const Tensor& keys) {
  SLOTWISE_CHECK(query.defined() && query.shape().dimensions() == 4 && query.size(2) == 2 &&
                     query.size(3) >= 1,
                 "[{}] expected query [M, H, 2, h], got {}", op,
                 query.defined() ? query.shape().text() : "none");
  SLOTWISE_CHECK(keys.defined() && keys.shape().dimensions() == 4,
                 "[{}] expected keys [H, 2, n, h], got {}", op,
                 keys.defined() ? keys.shape().text() : "none");
  expect_tensor(op, "query", query, query.shape());
  expect_tensor(op, "keys", keys, {query.size(1), 2, keys.size(2), query.size(3)});
}

std::int64_t expect_slots(const char* op, const Tensor& slots, const Tensor& query,
                          const Tensor& keys) {
  SLOTWISE_CHECK(slots.defined() && slots.shape().dimensions() == 3,
                 "[{}] expected slots [M, H, k] i32, got {}", op,
                 slots.defined() ? slots.shape().text() : "none");
  const std::int64_t k = slots.size(2);
  expect_tensor(op, "slots", slots, {query.size(0), query.size(1), k}, DType::i32);
  expect_sizes(op, keys.size(2), k);
  return k;
}

}  // namespace

void product_key_select(const ProductKeySelect& args) {
  const char* op = "product_key_select";
  SLOTWISE_CHECK(args.half_scores.defined() && args.half_scores.shape().dimensions() == 3,
                 "[{}] expected half scores [rows, 2, n], got {}", op,
                 args.half_scores.defined() ? args.half_scores.shape().text() : "none");
  SLOTWISE_CHECK(args.slots.defined() && args.slots.shape().dimensions() == 2,
                 "[{}] expected slots [rows, k] i32, got {}", op,
                 args.slots.defined() ? args.slots.shape().text() : "none");
  const std::int64_t rows = args.half_scores.size(0), n = args.half_scores.size(2);
  const std::int64_t k = args.slots.size(1);
  expect_tensor(op, "half scores", args.half_scores, {rows, 2, n});
  expect_tensor(op, "slots", args.slots, {rows, k}, DType::i32);
  expect_tensor(op, "scores", args.scores, {rows, k});
  expect_sizes(op, n, k);
  SLOTWISE_DISPATCH(product_key_select, args, args.slots);
}

void softmax_rows(const SoftmaxRows& args) {
  SLOTWISE_CHECK(args.x.defined() && args.x.shape().dimensions() >= 1,
                 "[softmax_rows] expected x with at least one dimension");
  expect_tensor("softmax_rows", "x", args.x, args.x.shape());
  expect_tensor("softmax_rows", "y", args.y, args.x.shape());
  SLOTWISE_DISPATCH(softmax_rows, args, args.x);
}

void product_key_lookup(const ProductKeyLookup& args) {
  const char* op = "product_key_lookup";
  expect_query_and_keys(op, args.query, args.keys);
  expect_slots(op, args.slots, args.query, args.keys);
  expect_tensor(op, "weights", args.weights, args.slots.shape());
  SLOTWISE_DISPATCH(product_key_lookup, args, args.query);
}

void product_key_lookup_backward(const ProductKeyLookupBackward& args) {
  const char* op = "product_key_lookup_backward";
  expect_query_and_keys(op, args.query, args.keys);
  expect_slots(op, args.slots, args.query, args.keys);
  expect_tensor(op, "weights", args.weights, args.slots.shape());
  expect_tensor(op, "dweights", args.dweights, args.slots.shape());
  expect_optional(op, "dquery", args.dquery.tensor, args.query.shape());
  expect_optional(op, "dkeys", args.dkeys.tensor, args.keys.shape());
  SLOTWISE_DISPATCH(product_key_lookup_backward, args, args.query);
}

}  // namespace slotwise::kernels
