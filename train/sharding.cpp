#include "train/sharding.h"

#include "train/model_batch.h"

namespace slotwise {

void expect_rows_for_shards(std::int64_t rows, std::int64_t shards) {
  if (rows >= shards) return;
  user_error(
      "a batch of {} rows cannot be cut into {} shards, one for each rank; take fewer ranks "
      "(--ranks, --shards) or larger batches",
      rows, shards);
}

std::vector<TokenBatch> shard_batch(const TokenBatch& batch, std::int64_t shards) {
  const std::int64_t rows = batch.tokens.size(0);
  if (shards == 1) return {batch};
  expect_rows_for_shards(rows, shards);
  std::vector<TokenBatch> out;
  for (std::int64_t shard = 0; shard < shards; ++shard) {
    out.push_back(batch_rows(batch, rows * shard / shards, rows * (shard + 1) / shards));
  }
  return out;
}

bool root_decides(Communicator& group, const std::function<bool()>& body) {
  if (group.size() == 1) return body();
  const Tensor answer = Tensor::zeros({1}, DType::i32);
  if (group.is_root()) answer.data<std::int32_t>()[0] = body() ? 1 : 0;
  group.broadcast(answer, 0, Patience::endless);
  return answer.data<std::int32_t>()[0] != 0;
}

void root_alone(Communicator& group, const std::function<void()>& body) {
  root_decides(group, [&] {
    body();
    return true;
  });
}

NextMove agree(Communicator& group, NextMove wish) {
  if (group.size() == 1) return wish;
  const Tensor wishes =
      Tensor::from<std::int32_t>({wish.stop ? 1 : 0, wish.save && group.is_root() ? 1 : 0}, {2});
  group.all_reduce_sum(wishes);
  return {wishes.data<std::int32_t>()[0] > 0, wishes.data<std::int32_t>()[1] > 0};
}

}  // namespace slotwise
