// Ranks over NCCL. Everything is queued on a stream of its own, which waits by an event for what
// the compute stream has made; wait() polls the end of a sum and NCCL's own state against the
// deadline (the communicator is non-blocking, so no call hangs). The first failure ends the group:
// it is aborted at once, so that memory can be freed, and later calls throw without waiting. A sum
// in the order of the ranks is the MPI body's algorithm: each rank owns a segment, receives the
// others' parts of it, adds them up in order in one kernel, and hands the result round; long ones a
// piece at a time.
#include <algorithm>
#include <chrono>
#include <exception>
#include <future>
#include <thread>
#include <utility>

#include "core/cuda_stream.h"
#include "core/device_scope.h"
#include "core/gradient_math.h"
#include "core/nccl.h"
#include "core/nccl_group.h"
#include "core/ordered_sum_cuda.h"

namespace slotwise {
namespace {

using Clock = std::chrono::steady_clock;

// For an abort, which may itself wait for ever on what is broken.
constexpr std::chrono::seconds kAbortPatience(10);

// Of one piece of a sum in the order of the ranks: 32 MiB.
constexpr std::int64_t kScratchElements = std::int64_t{1} << 23;

ncclDataType_t type_of(DType dtype) {
  return dtype == DType::f32 ? ncclFloat32 : dtype == DType::i32 ? ncclInt32 : ncclInt64;
}

char* address_of(const Tensor& tensor) {
  const DeviceScope scope(tensor.device());
  return tensor.elements() == 0 ? nullptr : static_cast<char*>(tensor.raw());
}

class Event {
 public:
  Event() {
    check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "communicator",
               "cudaEventCreate");
  }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(cudaStream_t stream) {
    check_cuda(cudaEventRecord(event_, stream), "communicator", "cudaEventRecord");
  }
  void hold(cudaStream_t stream) {
    check_cuda(cudaStreamWaitEvent(stream, event_, 0), "communicator", "cudaStreamWaitEvent");
  }
  bool reached() {
    const cudaError_t status = cudaEventQuery(event_);
    if (status == cudaErrorNotReady) return false;
    check_cuda(status, "communicator", "cudaEventQuery");
    return true;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

class NcclGroup final : public Communicator {
 public:
  NcclGroup(const NcclPlace& place, const GroupOptions& options)
      : place_(place), options_(options), compute_(cuda_stream(place.device)) {
    check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "communicator",
               "cudaStreamCreateWithFlags");
    ncclUniqueId id{};
    if (place.rank == 0) check(nccl().ncclGetUniqueId(&id), "ncclGetUniqueId");
    place.share({id.internal, sizeof id.internal});
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    settle(nccl().ncclCommInitRankConfig(&group_, place.ranks, id, place.rank, &config),
           "ncclCommInitRankConfig");
  }

  int rank() const override { return place_.rank; }
  int size() const override { return place_.ranks; }
  void barrier() override { all_reduce_sum(Tensor::zeros({1}, DType::i32)); }
  void close() override {
    barrier();
    nccl().ncclCommDestroy(std::exchange(group_, nullptr));
    cudaStreamDestroy(stream_);
  }
  void abandon(int code) noexcept override {
    if (place_.beside) place_.beside->abandon(code);
    abort_group();
  }

  // Queues what `calls` sends; the stream first waits for the compute stream.
  template <class Calls>
  void queue(Event& end, Calls&& calls) {
    refuse_failed();
    Event made;
    made.record(compute_);
    made.hold(stream_);
    calls();
    end.record(stream_);
  }
  // One group of sends and receives.
  template <class Calls>
  void together(Calls&& calls) {
    check(nccl().ncclGroupStart(), "ncclGroupStart");
    calls();
    settle(nccl().ncclGroupEnd(), "ncclGroupEnd");
  }
  void check(ncclResult_t status, const char* call) {
    if (status == ncclSuccess || status == ncclInProgress) return;
    give_up(fmt::format("[communicator] {}: {} ({})", call, nccl().ncclGetErrorString(status),
                        group_ != nullptr ? nccl().ncclGetLastError(group_) : "no communicator"));
  }
  // A call of a non-blocking communicator may still be going on when it returns.
  void settle(ncclResult_t status, const char* call) {
    check(status, call);
    const auto start = Clock::now();
    ncclResult_t state = status;
    while (state == ncclInProgress) {
      check(nccl().ncclCommGetAsyncError(group_, &state), "ncclCommGetAsyncError");
      check(state, call);
      refuse_silence(start, Patience::timeout);
    }
  }
  void wait(Event& end, Patience patience) {
    refuse_failed();
    const auto start = Clock::now();
    while (!end.reached()) {
      ncclResult_t state = ncclSuccess;
      check(nccl().ncclCommGetAsyncError(group_, &state), "ncclCommGetAsyncError");
      check(state, "a collective");
      refuse_silence(start, patience);
    }
    end.hold(compute_);
  }
  // In place of wait() where nobody needs the result: the compute stream alone waits, so that it
  // does not reuse memory that the sum still writes.
  void leave(Event& end) { end.hold(compute_); }

  bool failed() const { return failed_; }
  cudaStream_t stream() const { return stream_; }
  ncclComm_t group() const { return group_; }
  const Device& device() const { return place_.device; }
  void count_sum(std::int64_t bytes) { count(Verb::all_reduce, bytes); }
  // Where the others' parts arrive. One for all sums: they follow one another on the stream.
  const Tensor& scratch() {
    if (!scratch_.defined()) {
      scratch_ = Tensor::empty({kScratchElements}, DType::f32, place_.device, "gradient exchange");
    }
    return scratch_;
  }

 private:
  void refuse_silence(Clock::time_point start, Patience patience) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (seconds > 1e-3) std::this_thread::sleep_for(std::chrono::microseconds(20));
    if (patience == Patience::endless || seconds < options_.timeout_seconds) return;
    const std::string silent = place_.beside ? place_.beside->silent_ranks() : "";
    give_up(fmt::format(
        "{} gave no sign for {} seconds (--rank-timeout): it hangs, has died or cannot be reached",
        silent.empty() ? "a rank" : silent, options_.timeout_seconds));
  }
  void refuse_failed() const {
    if (failed_) fail("[communicator] the group of ranks has failed already");
  }
  // Aborts before it throws: NCCL's kernels would wait for ever, and cudaFree for them.
  [[noreturn]] void give_up(const std::string& why) {
    failed_ = true;
    abort_group();
    throw Error(why);
  }
  void abort_group() noexcept;
  std::unique_ptr<Transfer> start_sum(const Tensor& tensor, const Tensor& before) override;
  void spread(const Tensor& tensor, int root, Patience patience) override;
  std::vector<Tensor> gather(const Tensor& mine) override;
  std::unique_ptr<Transfer> start_gather(const Tensor& all, const Tensor& mine) override;

  NcclPlace place_;
  GroupOptions options_;
  cudaStream_t compute_ = nullptr, stream_ = nullptr;
  ncclComm_t group_ = nullptr;
  Tensor scratch_;
  bool failed_ = false;
};

// On a thread of its own, which is left to itself when it does not come back: the failure is told
// all the same. There NCCL also sees no group of calls that this thread may have left open.
void NcclGroup::abort_group() noexcept {
  if (group_ == nullptr) return;
  try {
    std::packaged_task<void()> abort(
        [group = std::exchange(group_, nullptr)] { nccl().ncclCommAbort(group); });
    const std::future<void> aborted = abort.get_future();
    std::thread(std::move(abort)).detach();
    aborted.wait_for(kAbortPatience);
  } catch (const std::exception&) {  // no thread to be had: the end of the process does it
  }
}

// Keeps all memory that the stream uses until the compute stream stands behind it.
class NcclSum final : public Transfer {
 public:
  NcclSum(NcclGroup& group, const Tensor& tensor, const Tensor& before, SumOrder order)
      : group_(group),
        tensor_(tensor),
        on_device_(tensor.to(group.device(), "gradient exchange")),
        before_(before.defined() ? before.to(group.device(), "gradient exchange") : Tensor()) {
    const bool ordered = order == SumOrder::ranks && tensor.dtype() == DType::f32;
    if (tensor.elements() == 0) return;
    if (ordered) group.scratch();  // before the stream waits for what the compute stream has made
    group.queue(end_, [&] { ordered ? send_ordered() : send_whole(); });
    if (!ordered) after_ = before_;
  }
  ~NcclSum() override {
    if (finished_ || tensor_.elements() == 0 || group_.failed()) return;
    try {
      std::uncaught_exceptions() > 0 ? group_.leave(end_) : wait();
    } catch (const Error&) {  // the group tells its next caller
    }
  }

  bool done() override { return finished_ || tensor_.elements() == 0 || end_.reached(); }
  void wait() override {
    if (finished_ || tensor_.elements() == 0) return;
    group_.wait(end_, Patience::timeout);
    if (after_.defined()) write_gradient({on_device_, true}, after_);
    if (tensor_.device() != group_.device()) tensor_.copy_from(on_device_);
    finished_ = true;
  }

 private:
  Segment segment(int rank) const { return segment_of(tensor_.elements(), rank, group_.size()); }

  void send_whole() {
    char* values = address_of(on_device_);
    group_.settle(
        nccl().ncclAllReduce(values, values, static_cast<std::size_t>(tensor_.elements()),
                             type_of(tensor_.dtype()), ncclSum, group_.group(), group_.stream()),
        "ncclAllReduce");
    group_.count_sum(2 * (group_.size() - 1) * static_cast<std::int64_t>(tensor_.bytes()) /
                     group_.size());
  }

  void send(const Segment& part, int other) {
    if (part.size() == 0) return;  // the other does not expect it
    const float* values = reinterpret_cast<const float*>(address_of(on_device_));
    group_.check(nccl().ncclSend(values + part.begin, static_cast<std::size_t>(part.size()),
                                 ncclFloat32, other, group_.group(), group_.stream()),
                 "ncclSend");
    sent_bytes_ += 4 * part.size();
  }
  void receive(float* to, std::int64_t size, int other) {
    if (size == 0) return;
    group_.check(nccl().ncclRecv(to, static_cast<std::size_t>(size), ncclFloat32, other,
                                 group_.group(), group_.stream()),
                 "ncclRecv");
  }

  // The segments of all ranks a piece at a time, which bounds the scratch.
  void send_ordered() {
    const std::int64_t ranks = group_.size(),
                       most = kScratchElements / std::max<std::int64_t>(1, ranks - 1);
    const std::int64_t longest = (tensor_.elements() + ranks - 1) / ranks;
    for (std::int64_t first = 0; first < longest; first += most) send_pieces(first, most);
    group_.count_sum(sent_bytes_);
  }

  void send_pieces(std::int64_t first, std::int64_t most) {
    float* values = reinterpret_cast<float*>(address_of(on_device_));
    float* scratch = reinterpret_cast<float*>(address_of(group_.scratch()));
    const auto piece = [&](int rank) { return piece_of(segment(rank), first, most); };
    const Segment own = piece(group_.rank());
    std::vector<const float*> parts;
    group_.together([&] {
      for (int rank = 0; rank < group_.size(); ++rank) {
        if (rank == group_.rank()) {
          parts.push_back(values + own.begin);
          continue;
        }
        parts.push_back(scratch);
        receive(scratch, own.size(), rank);
        send(piece(rank), rank);
        scratch += own.size();
      }
    });
    const float* before =
        reinterpret_cast<const float*>(before_.defined() ? address_of(before_) : nullptr);
    cuda::add_in_order(values + own.begin, before == nullptr ? nullptr : before + own.begin, parts,
                       own.size(), group_.stream());
    group_.together([&] {
      for (int rank = 0; rank < group_.size(); ++rank) {
        if (rank == group_.rank()) continue;
        const Segment part = piece(rank);
        receive(values + part.begin, part.size(), rank);
        send(own, rank);
      }
    });
  }

  NcclGroup& group_;
  Tensor tensor_, on_device_, before_;
  Tensor after_;  // added once the sum is there
  std::int64_t sent_bytes_ = 0;
  Event end_;
  bool finished_ = false;
};

// The same number of elements from all; the host's memory is written by wait().
class NcclGather final : public Transfer {
 public:
  NcclGather(NcclGroup& group, const Tensor& all, const Tensor& mine)
      : group_(group),
        all_(all),
        mine_on_device_(mine.to(group.device(), "gathered")),
        on_device_(Tensor::empty({all.elements()}, DType::i32, group.device(), "gathered")) {
    if (all.elements() == 0) return;
    group.queue(end_, [&] {
      group.settle(nccl().ncclAllGather(address_of(mine_on_device_), address_of(on_device_),
                                        static_cast<std::size_t>(mine.elements()), ncclInt32,
                                        group.group(), group.stream()),
                   "ncclAllGather");
    });
  }
  ~NcclGather() override {
    if (over() || group_.failed()) return;
    try {
      group_.leave(end_);
    } catch (const Error&) {  // the group tells its next caller
    }
  }

  bool done() override { return over() || end_.reached(); }
  void wait() override {
    if (over()) return;
    group_.wait(end_, Patience::timeout);
    all_.copy_from(on_device_);
    finished_ = true;
  }

 private:
  bool over() const { return finished_ || all_.elements() == 0; }

  NcclGroup& group_;
  Tensor all_, mine_on_device_, on_device_;
  Event end_;
  bool finished_ = false;
};

std::unique_ptr<Transfer> NcclGroup::start_gather(const Tensor& all, const Tensor& mine) {
  count(Verb::all_gather, static_cast<std::int64_t>(mine.bytes()) * (size() - 1));
  return std::make_unique<NcclGather>(*this, all, mine);
}

std::unique_ptr<Transfer> NcclGroup::start_sum(const Tensor& tensor, const Tensor& before) {
  return std::make_unique<NcclSum>(*this, tensor, before, options_.order);
}

void NcclGroup::spread(const Tensor& tensor, int root, Patience patience) {
  if (tensor.elements() == 0) return;
  const Tensor on_device = tensor.to(place_.device, "broadcast");
  Event end;
  char* bytes = address_of(on_device);
  queue(end, [&] {
    settle(nccl().ncclBroadcast(bytes, bytes, tensor.bytes(), ncclChar, root, group_, stream_),
           "ncclBroadcast");
  });
  wait(end, patience);
  if (tensor.device() != place_.device) tensor.copy_from(on_device);
  const auto sent = static_cast<std::int64_t>(tensor.bytes()) * (size() - 1);
  count(Verb::broadcast, rank() == root ? sent : 0);
}

// The lengths first; then all are padded to the longest.
std::vector<Tensor> NcclGroup::gather(const Tensor& mine) {
  const auto equal = [&](const Tensor& own) {
    const Tensor all = Tensor::empty({own.elements() * size()}, DType::i32, {}, "gathered");
    NcclGather(*this, all, own).wait();
    return all;
  };
  const auto length = static_cast<std::int32_t>(mine.elements());
  const auto lengths = equal(Tensor::from<std::int32_t>({length}, {1})).to_vector<std::int32_t>();
  const std::int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  std::vector<Tensor> out;
  const Tensor padded = Tensor::zeros({longest}, DType::i32, {}, "gathered");
  padded.slice(0, length).copy_from(mine);
  const Tensor all = longest == 0 ? padded : equal(padded);
  count(Verb::all_gather, (longest + 1) * 4 * (size() - 1));
  for (int rank = 0; rank < size(); ++rank) {
    const std::int64_t begin = longest * rank;
    out.push_back(all.slice(begin, begin + lengths[static_cast<std::size_t>(rank)]));
  }
  return out;
}

}  // namespace

std::shared_ptr<Communicator> nccl_group(const NcclPlace& place, const GroupOptions& options) {
  return std::make_shared<NcclGroup>(place, options);
}

}  // namespace slotwise
