// Ranks over MPI, for tensors whose memory the host can touch. All calls are non-blocking and
// polled against the deadline. A sum in the order of the ranks: each rank owns a segment, receives
// the others' parts of it, adds them up in order, and hands the result round, so that a rank sends
// 2 (R - 1) / R of the tensor, as in a ring. Long tensors go in chunks, which bounds the scratch.
#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/communicator.h"
#include "core/device_scope.h"
#include "core/gradient_math.h"

namespace slotwise {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kChunk = std::int64_t{1} << 20;      // elements of a sum at a time
constexpr std::int64_t kMostBytes = std::int64_t{1} << 30;  // of one MPI call
constexpr int kRollCallTag = 32767, kSumTags = 16384;
constexpr double kRollCallSeconds = 5.0;  // ranks come to wait at different times

void check_mpi(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(status, text, &length);
  fail("[communicator] {}: {}", call, text);
}

MPI_Datatype type_of(DType dtype) {
  return dtype == DType::f32 ? MPI_FLOAT : dtype == DType::i32 ? MPI_INT32_T : MPI_INT64_T;
}

void* address_of(const Tensor& tensor) {
  const Device device = tensor.device();
  if (device.is_cuda()) {
    fail("[communicator] MPI carries tensors of the host, got one on {}", name_of(device.type));
  }
  const DeviceScope scope(device);
  return tensor.elements() == 0 ? nullptr : tensor.raw();
}

// Requests under way. Never waits: done() polls them all.
class Requests {
 public:
  MPI_Request* add() { return &requests_.emplace_back(MPI_REQUEST_NULL); }
  bool done() {
    int flag = 0;
    check_mpi(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &flag,
                          MPI_STATUSES_IGNORE),
              "MPI_Testall");
    if (flag != 0) requests_.clear();
    return flag != 0;
  }

 private:
  std::vector<MPI_Request> requests_;
};

class MpiGroup final : public Communicator {
 public:
  explicit MpiGroup(const GroupOptions& options) : options_(options) {
    int provided = 0;
    check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void barrier() override {
    Requests requests;
    check_mpi(MPI_Ibarrier(MPI_COMM_WORLD, requests.add()), "MPI_Ibarrier");
    wait([&] { return requests.done(); }, Patience::timeout);
  }
  std::string silent_ranks() override;
  void close() override {
    barrier();
    MPI_Finalize();
  }
  void abandon(int code) noexcept override { MPI_Abort(MPI_COMM_WORLD, code); }

  // Polls until `done`: at first eagerly, then giving the processor away.
  template <class Done>
  void wait(Done&& done, Patience patience) {
    const auto start = Clock::now();
    for (std::int64_t polls = 0; !done(); ++polls) {
      for (Transfer* sum : under_way_) sum->done();
      if (polls < 64) continue;
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      if (patience == Patience::timeout && seconds > options_.timeout_seconds) give_up();
      if (seconds < 1e-3) {
        sched_yield();
      } else {
        std::this_thread::sleep_for(std::chrono::microseconds(seconds < 1.0 ? 50 : 1000));
      }
    }
  }

  // Sums under way are all moved on while one of them is waited for: another rank may wait for
  // another one first.
  void add_under_way(Transfer* sum) { under_way_.push_back(sum); }
  void remove_under_way(Transfer* sum) { std::erase(under_way_, sum); }

  int next_tag() { return next_tag_ = (next_tag_ + 2) % (2 * kSumTags - 2); }
  void count_sum(std::int64_t bytes) { count(Verb::all_reduce, bytes); }
  void count_gather(std::int64_t bytes) { count(Verb::all_gather, bytes); }

 private:
  std::unique_ptr<Transfer> start_sum(const Tensor& tensor, const Tensor& before) override;
  void spread(const Tensor& tensor, int root, Patience patience) override;
  std::vector<Tensor> gather(const Tensor& mine) override;
  std::unique_ptr<Transfer> start_gather(const Tensor& all, const Tensor& mine) override;
  [[noreturn]] void give_up();

  GroupOptions options_;
  int rank_ = 0, size_ = 1;
  std::vector<Transfer*> under_way_;
  int next_tag_ = 0;
};

// Who answers at all: ranks that wait too come here at about the same time.
std::string MpiGroup::silent_ranks() {
  std::vector<MPI_Request> heard(static_cast<std::size_t>(size_), MPI_REQUEST_NULL);
  std::vector<int> answers(static_cast<std::size_t>(size_));
  for (int other = 0; other < size_; ++other) {
    if (other == rank_) continue;
    MPI_Request sent = MPI_REQUEST_NULL;
    MPI_Isend(&rank_, 1, MPI_INT, other, kRollCallTag, MPI_COMM_WORLD, &sent);
    MPI_Irecv(&answers[static_cast<std::size_t>(other)], 1, MPI_INT, other, kRollCallTag,
              MPI_COMM_WORLD, &heard[static_cast<std::size_t>(other)]);
  }
  const auto end = Clock::now() + std::chrono::duration<double>(kRollCallSeconds);
  const auto missing = [&] {
    for (MPI_Request& request : heard) {
      int flag = 0;
      if (request != MPI_REQUEST_NULL) MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
    }
    return std::any_of(heard.begin(), heard.end(), [](auto r) { return r != MPI_REQUEST_NULL; });
  };
  while (missing() && Clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::string silent;
  for (int other = 0; other < size_; ++other) {
    if (heard[static_cast<std::size_t>(other)] == MPI_REQUEST_NULL) continue;
    silent += (silent.empty() ? "rank " : ", rank ") + std::to_string(other);
  }
  return silent;
}

void MpiGroup::give_up() {
  const std::string silent = silent_ranks();
  fail("{} gave no sign for {} seconds (--rank-timeout): it hangs, has died or cannot be reached",
       silent.empty() ? "a rank" : silent, options_.timeout_seconds);
}

// tensor = before + x_0 + x_1 + ..., a chunk at a time; see the head of this file.
template <class T>
class OrderedSum final : public Transfer {
 public:
  OrderedSum(MpiGroup& group, const Tensor& tensor, const Tensor& before)
      : group_(group),
        tensor_(tensor),
        before_tensor_(before),
        values_(static_cast<T*>(address_of(tensor))),
        before_(before.defined() ? static_cast<const T*>(address_of(before)) : nullptr),
        tag_(group.next_tag()) {
    begin_chunk();
    group_.add_under_way(this);
  }
  ~OrderedSum() override { group_.remove_under_way(this); }

  bool done() override {
    while (stage_ != Stage::done) {
      if (!requests_.done()) return false;
      if (stage_ == Stage::collect) {
        add_up();
        hand_round();
      } else {
        first_ += kChunk;
        begin_chunk();
      }
    }
    return true;
  }
  void wait() override {
    group_.wait([this] { return done(); }, Patience::timeout);
  }

 private:
  enum class Stage { collect, spread, done };

  Segment segment(int rank) const {
    const std::int64_t length = std::min(kChunk, tensor_.elements() - first_);
    const Segment part = segment_of(length, rank, group_.size());
    return {first_ + part.begin, first_ + part.end};
  }
  // The place in the scratch of what rank `other` sent of this rank's segment.
  T* received(int other) {
    const auto at = static_cast<std::size_t>(other - (other > group_.rank() ? 1 : 0));
    return scratch_.data() + at * static_cast<std::size_t>(segment(group_.rank()).size());
  }
  void send(const Segment& part, int other, int tag) {
    check_mpi(MPI_Isend(values_ + part.begin, static_cast<int>(part.size()), type_of(kType), other,
                        tag, MPI_COMM_WORLD, requests_.add()),
              "MPI_Isend");
    sent_bytes_ += part.size() * static_cast<std::int64_t>(sizeof(T));
  }
  void receive(T* to, std::int64_t size, int other, int tag) {
    check_mpi(MPI_Irecv(to, static_cast<int>(size), type_of(kType), other, tag, MPI_COMM_WORLD,
                        requests_.add()),
              "MPI_Irecv");
  }
  template <class Body>
  void for_others(Body&& body) {
    for (int other = 0; other < group_.size(); ++other) {
      if (other != group_.rank()) body(other);
    }
  }

  void begin_chunk() {
    if (first_ >= tensor_.elements()) {
      stage_ = Stage::done;
      scratch_ = {};
      group_.count_sum(sent_bytes_);
      return;
    }
    stage_ = Stage::collect;
    const Segment own = segment(group_.rank());
    scratch_.resize(static_cast<std::size_t>(own.size() * (group_.size() - 1)));
    for_others([&](int other) {
      receive(received(other), own.size(), other, tag_);
      send(segment(other), other, tag_);
    });
  }

  void add_up() {
    constexpr std::int64_t kBlock = 1024;
    const Segment own = segment(group_.rank());
    T sum[kBlock];
    for (std::int64_t at = own.begin; at < own.end; at += kBlock) {
      const std::int64_t count = std::min(kBlock, own.end - at);
      for (int rank = 0; rank < group_.size(); ++rank) {
        const T* part = rank == group_.rank() ? values_ + at : received(rank) + (at - own.begin);
        if (rank > 0) {
          for (std::int64_t i = 0; i < count; ++i) sum[i] += part[i];
        } else if (before_ != nullptr) {
          for (std::int64_t i = 0; i < count; ++i) sum[i] = before_[at + i] + part[i];
        } else {
          std::copy_n(part, count, sum);
        }
      }
      std::copy_n(sum, count, values_ + at);
    }
  }

  void hand_round() {
    stage_ = Stage::spread;
    const Segment own = segment(group_.rank());
    for_others([&](int other) {
      const Segment part = segment(other);
      receive(values_ + part.begin, part.size(), other, tag_ + 1);
      send(own, other, tag_ + 1);
    });
  }

  static constexpr DType kType = DTypeOf<T>::value;
  MpiGroup& group_;
  Tensor tensor_, before_tensor_;  // keep the memory alive
  T* values_;
  const T* before_;
  int tag_;
  Stage stage_ = Stage::collect;
  std::int64_t first_ = 0;  // of the chunk under way
  std::int64_t sent_bytes_ = 0;
  std::vector<T> scratch_;
  Requests requests_;
};

// The library's own algorithm.
class LibrarySum final : public Transfer {
 public:
  LibrarySum(MpiGroup& group, const Tensor& tensor, const Tensor& before)
      : group_(group), tensor_(tensor), before_(before) {
    float* values = static_cast<float*>(address_of(tensor));
    const std::int64_t all = tensor.elements(), most = kMostBytes / 4;
    for (std::int64_t first = 0; first < all; first += most) {
      check_mpi(MPI_Iallreduce(MPI_IN_PLACE, values + first,
                               static_cast<int>(std::min(most, all - first)), MPI_FLOAT, MPI_SUM,
                               MPI_COMM_WORLD, requests_.add()),
                "MPI_Iallreduce");
    }
    const std::int64_t ranks = group.size();
    group.count_sum(2 * (ranks - 1) * static_cast<std::int64_t>(tensor.bytes()) / ranks);
  }

  bool done() override {
    if (finished_) return true;
    if (!requests_.done()) return false;
    if (before_.defined()) write_gradient({tensor_, true}, before_);
    return finished_ = true;
  }
  void wait() override {
    group_.wait([this] { return done(); }, Patience::timeout);
  }

 private:
  MpiGroup& group_;
  Tensor tensor_, before_;
  Requests requests_;
  bool finished_ = false;
};

class EqualGather final : public Transfer {
 public:
  EqualGather(MpiGroup& group, const Tensor& all, const Tensor& mine)
      : group_(group), all_(all), mine_(mine) {
    SLOTWISE_CHECK(mine.elements() <= kMostBytes / 4, "[communicator] {} elements are too many",
                   mine.elements());
    const int count = static_cast<int>(mine.elements());
    check_mpi(MPI_Iallgather(address_of(mine), count, MPI_INT32_T, address_of(all), count,
                             MPI_INT32_T, MPI_COMM_WORLD, requests_.add()),
              "MPI_Iallgather");
    group.count_gather(static_cast<std::int64_t>(mine.bytes()) * (group.size() - 1));
  }

  bool done() override { return requests_.done(); }
  void wait() override {
    group_.wait([this] { return done(); }, Patience::timeout);
  }

 private:
  MpiGroup& group_;
  Tensor all_, mine_;  // keep the memory alive
  Requests requests_;
};

std::unique_ptr<Transfer> MpiGroup::start_gather(const Tensor& all, const Tensor& mine) {
  return std::make_unique<EqualGather>(*this, all, mine);
}

std::unique_ptr<Transfer> MpiGroup::start_sum(const Tensor& tensor, const Tensor& before) {
  if (tensor.dtype() == DType::i32) {
    return std::make_unique<OrderedSum<std::int32_t>>(*this, tensor, before);
  }
  if (tensor.dtype() == DType::i64) {
    return std::make_unique<OrderedSum<std::int64_t>>(*this, tensor, before);
  }
  if (options_.order == SumOrder::library) {
    return std::make_unique<LibrarySum>(*this, tensor, before);
  }
  return std::make_unique<OrderedSum<float>>(*this, tensor, before);
}

void MpiGroup::spread(const Tensor& tensor, int root, Patience patience) {
  char* bytes = static_cast<char*>(address_of(tensor));
  const auto all = static_cast<std::int64_t>(tensor.bytes());
  for (std::int64_t first = 0; first < all; first += kMostBytes) {
    Requests requests;
    check_mpi(MPI_Ibcast(bytes + first, static_cast<int>(std::min(kMostBytes, all - first)),
                         MPI_BYTE, root, MPI_COMM_WORLD, requests.add()),
              "MPI_Ibcast");
    wait([&] { return requests.done(); }, patience);
  }
  count(Verb::broadcast, rank_ == root ? all * (size_ - 1) : 0);
}

std::vector<Tensor> MpiGroup::gather(const Tensor& mine) {
  const auto ranks = static_cast<std::size_t>(size_);
  SLOTWISE_CHECK(mine.elements() <= kMostBytes / 4, "[communicator] {} elements are too many",
                 mine.elements());
  const int own = static_cast<int>(mine.elements());
  std::vector<int> lengths(ranks), starts(ranks);
  {
    Requests requests;
    check_mpi(MPI_Iallgather(&own, 1, MPI_INT, lengths.data(), 1, MPI_INT, MPI_COMM_WORLD,
                             requests.add()),
              "MPI_Iallgather");
    wait([&] { return requests.done(); }, Patience::timeout);
  }
  std::int64_t all = 0;
  for (std::size_t r = 0; r < ranks; ++r) {
    starts[r] = static_cast<int>(all);
    all += lengths[r];
    SLOTWISE_CHECK(all <= kMostBytes, "[communicator] too much to gather: {} elements", all);
  }
  const Tensor together = Tensor::empty({all}, DType::i32, {}, "gathered");
  Requests requests;
  check_mpi(
      MPI_Iallgatherv(address_of(mine), own, MPI_INT32_T, address_of(together), lengths.data(),
                      starts.data(), MPI_INT32_T, MPI_COMM_WORLD, requests.add()),
      "MPI_Iallgatherv");
  wait([&] { return requests.done(); }, Patience::timeout);
  count(Verb::all_gather, (std::int64_t{own} + 1) * 4 * (size_ - 1));
  std::vector<Tensor> out;
  for (std::size_t r = 0; r < ranks; ++r) {
    out.push_back(together.slice(starts[r], starts[r] + lengths[r]));
  }
  return out;
}

}  // namespace

bool mpi_built() {
  return true;
}

std::shared_ptr<Communicator> mpi_group(const GroupOptions& options) {
  return std::make_shared<MpiGroup>(options);
}

}  // namespace slotwise
