// A group of processes (ranks) that train together, each with a copy of the model. One process is
// the trivial group; OpenMPI carries tensors of the host, NCCL those of CUDA devices.
//
// Sums of floats are taken in the order of the ranks, ((x_0 + x_1) + x_2) + ..., so that every rank
// gets the same bits whatever the timing, and one process that adds the same parts up gets them
// too. Every rank calls the same verbs in the same order. A rank that stays silent for longer than
// the timeout makes the verb throw Error, naming it.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace slotwise {

enum class Verb { all_reduce, broadcast, all_gather };

// What this rank has sent to others since it began.
struct Traffic {
  std::int64_t calls = 0;
  std::int64_t bytes = 0;
};

// A verb under way: its tensors must not be touched until wait() has returned.
class Transfer {
 public:
  virtual ~Transfer() = default;
  virtual bool done() = 0;  // moves it on, never waits
  virtual void wait() = 0;  // may be called again
};

enum class Patience {
  timeout,
  endless,  // the root may be evaluating or writing a checkpoint for as long as that takes
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool is_root() const { return rank() == 0; }

  // In place: tensor = before + the sum over ranks, begun with `before` where it is given (the same
  // on all ranks). f32, i32 or i64; `before` for f32 only.
  void all_reduce_sum(const Tensor& tensor, const Tensor& before = {});
  // The same without waiting. Several may be under way; all ranks start them in the same order.
  std::unique_ptr<Transfer> start_all_reduce_sum(const Tensor& tensor, const Tensor& before = {});
  void broadcast(const Tensor& tensor, int root, Patience patience = Patience::timeout);
  // The tensors [n_r] of all ranks, in their order; n_r may differ. i32 on the host.
  std::vector<Tensor> all_gather(const Tensor& mine);
  // The same for an n that all ranks share, without waiting, as with sums. all: [ranks n], those of
  // all ranks one behind the other.
  std::unique_ptr<Transfer> start_all_gather(const Tensor& all, const Tensor& mine);
  virtual void barrier() = 0;
  // "rank 1, rank 3": those that do not answer while all others ask; empty where nobody can tell.
  virtual std::string silent_ranks() { return {}; }
  // Before an orderly end: waits for the others and leaves the group.
  virtual void close() {}
  // Ends all ranks at once; called with what to return to the shell, does not return in a group of
  // several.
  virtual void abandon(int) noexcept {}

  const Traffic& sent(Verb verb) const { return sent_[static_cast<std::size_t>(verb)]; }

 protected:
  void count(Verb verb, std::int64_t bytes);

 private:
  virtual std::unique_ptr<Transfer> start_sum(const Tensor& tensor, const Tensor& before) = 0;
  virtual void spread(const Tensor& tensor, int root, Patience patience) = 0;
  virtual std::vector<Tensor> gather(const Tensor& mine) = 0;
  virtual std::unique_ptr<Transfer> start_gather(const Tensor& all, const Tensor& mine) = 0;

  std::array<Traffic, 3> sent_;
};

std::shared_ptr<Communicator> single_process();

// How the sums of floats are taken: in the order of the ranks, or as the library likes (its own
// algorithm: other bits, which may depend on the number of ranks and on timing).
enum class SumOrder { ranks, library };

struct GroupOptions {
  SumOrder order = SumOrder::ranks;
  double timeout_seconds = 300.0;
};

// The ranks that mpirun or srun started; MPI is initialised. UserError in a build without MPI.
std::shared_ptr<Communicator> mpi_group(const GroupOptions& options);
bool mpi_built();

// Bounds of a rank's part of [0, count): contiguous, sizes differ by at most one.
struct Segment {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
};
Segment segment_of(std::int64_t count, int rank, int ranks);
// Elements [first, first + most) of a segment, counted from its beginning; fewer at its end.
Segment piece_of(const Segment& whole, std::int64_t first, std::int64_t most);

}  // namespace slotwise
