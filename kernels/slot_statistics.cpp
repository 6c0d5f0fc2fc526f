#include "kernels/slot_statistics.h"

#include <algorithm>

namespace slotwise::kernels {
namespace {

void expect_list(const char* op, const char* what, const Tensor& tensor, DType dtype = DType::i32) {
  SLOTWISE_CHECK(tensor.defined() && tensor.shape().dimensions() == 1 && tensor.dtype() == dtype,
                 "[{}] expected {} as a list of {}, got {}", op, what, name_of(dtype),
                 tensor.defined()
                     ? fmt::format("{} {}", tensor.shape().text(), name_of(tensor.dtype()))
                     : "none");
}

}  // namespace

void count_accesses(const CountAccesses& args) {
  const char* op = "count_accesses";
  expect_list(op, "counts", args.counts);
  expect_list(op, "touched", args.touched);
  expect_tensor(op, "touched_count", args.touched_count, {1}, DType::i32);
  SLOTWISE_CHECK(args.slots.defined() && args.slots.shape().dimensions() == 2 &&
                     args.slots.dtype() == DType::i32,
                 "[{}] expected slots [M, J] i32, got {}", op,
                 args.slots.defined() ? args.slots.shape().text() : "none");
  expect_optional(op, "valid", args.valid, {args.slots.size(0)}, DType::u8);
  const std::int64_t needed = std::min(args.counts.elements(), args.slots.elements());
  SLOTWISE_CHECK(args.touched.elements() >= needed,
                 "[{}] expected room for {} touched slots, got {}", op, needed,
                 args.touched.elements());
  SLOTWISE_DISPATCH(count_accesses, args, args.slots);
}

void score_slots(const ScoreSlots& args) {
  const char* op = "score_slots";
  expect_list(op, "touched", args.touched);
  expect_tensor(op, "scores", args.scores, args.touched.shape());
  expect_list(op, "counts", args.counts);
  SLOTWISE_CHECK(args.df.defined() == args.idf.defined(),
                 "[{}] expected df and idf, or neither of them", op);
  expect_optional(op, "touched_count", args.touched_count, {1}, DType::i32);
  expect_optional(op, "df", args.df, args.counts.shape(), DType::i32);
  if (args.idf.defined()) expect_list(op, "idf", args.idf, DType::f32);
  SLOTWISE_DISPATCH(score_slots, args, args.touched);
}

void top_slots(const TopSlots& args) {
  const char* op = "top_slots";
  expect_list(op, "selected", args.selected);
  expect_list(op, "touched", args.touched);
  expect_tensor(op, "scores", args.scores, args.touched.shape());
  SLOTWISE_CHECK(args.selected.elements() <= args.touched.elements(),
                 "[{}] cannot select {} of {} touched slots", op, args.selected.elements(),
                 args.touched.elements());
  expect_optional(op, "touched_count", args.touched_count, {1}, DType::i32);
  SLOTWISE_DISPATCH(top_slots, args, args.touched);
}

void map_slots(const MapSlots& args) {
  expect_list("map_slots", "map", args.map);
  expect_list("map_slots", "slots", args.slots);
  SLOTWISE_DISPATCH(map_slots, args, args.map);
}

void clear_counts(const ClearCounts& args) {
  expect_list("clear_counts", "counts", args.counts);
  expect_list("clear_counts", "slots", args.slots);
  expect_optional("clear_counts", "slot_count", args.slot_count, {1}, DType::i32);
  SLOTWISE_DISPATCH(clear_counts, args, args.counts);
}

void add_document(const AddDocument& args) {
  expect_list("add_document", "df", args.df);
  expect_list("add_document", "slots", args.slots);
  expect_optional("add_document", "slot_count", args.slot_count, {1}, DType::i32);
  SLOTWISE_DISPATCH(add_document, args, args.df);
}

void mark_slots(const MarkSlots& args) {
  expect_list("mark_slots", "marks", args.marks, DType::u8);
  expect_list("mark_slots", "slots", args.slots);
  SLOTWISE_DISPATCH(mark_slots, args, args.marks);
}

void number_slots(const NumberSlots& args) {
  const char* op = "number_slots";
  expect_list(op, "slots", args.slots);
  expect_tensor(op, "numbers", args.numbers, args.slots.shape(), DType::i32);
  expect_list(op, "map", args.map);
  expect_list(op, "slot_of", args.slot_of);
  expect_tensor(op, "used", args.used, {1}, DType::i32);
  SLOTWISE_DISPATCH(number_slots, args, args.map);
}

}  // namespace slotwise::kernels
