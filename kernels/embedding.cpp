#include "kernels/embedding.h"

namespace slotwise::kernels {
namespace {

void expect_embedding(const Tensor& table, const Tensor& ids, const char* what, const Tensor& y) {
  SLOTWISE_CHECK(table.defined() && table.shape().dimensions() == 2,
                 "[embedding] expected a table [V, C], got {}",
                 table.defined() ? table.shape().text() : "none");
  SLOTWISE_CHECK(ids.defined() && ids.shape().dimensions() == 1,
                 "[embedding] expected ids [tokens], got {}",
                 ids.defined() ? ids.shape().text() : "none");
  expect_tensor("embedding", "table", table, table.shape());
  expect_tensor("embedding", "ids", ids, ids.shape(), DType::i32);
  expect_tensor("embedding", what, y, {ids.size(0), table.size(1)});
}

}  // namespace

void embedding_forward(const EmbeddingForward& args) {
  expect_embedding(args.table, args.ids, "y", args.y);
  SLOTWISE_DISPATCH(embedding_forward, args, args.table);
}

void embedding_backward(const EmbeddingBackward& args) {
  expect_embedding(args.dtable.tensor, args.ids, "dy", args.dy);
  SLOTWISE_DISPATCH(embedding_backward, args, args.dy);
}

}  // namespace slotwise::kernels
