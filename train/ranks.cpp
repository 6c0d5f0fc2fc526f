#include "train/ranks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "core/devices.h"
#include "core/nccl_group.h"
#include "core/share_bytes.h"
#include "train/program.h"
#include "train/rank_launcher.h"

namespace slotwise {
namespace {

std::optional<int> number_of(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  int number = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, number);
  if (error != std::errc() || stop != end || number < 0) {
    user_error("the environment variable {} must be a whole number, got '{}'", variable, text);
  }
  return number;
}

constexpr const char* kIdFile = "SLOTWISE_ID_FILE";

bool place_by_environment_alone() {
  return !place_by_launcher() && place_by_environment();
}

// Whether this rank can have a GPU of its own. NCCL refuses two ranks on one, but for ranks that
// call themselves different hosts.
bool has_own_gpu(int local_rank, const std::string& device) {
  const int gpus = cuda::device_count();
  const bool own = local_rank < gpus || std::getenv("CUDA_VISIBLE_DEVICES") != nullptr ||
                   std::getenv("NCCL_HOSTID") != nullptr;
  if (gpus == 0 || !own) return false;
  try {
    find_device(device);
    return true;
  } catch (const UserError&) {
    return false;
  }
}

std::string gpu_of_rank() {
  const auto place = place_by_launcher() ? place_by_launcher() : place_by_environment();
  return fmt::format("cuda:{}", place ? place->local_rank % std::max(1, cuda::device_count()) : 0);
}

std::shared_ptr<Communicator> group_by_environment(const GroupOptions& options) {
  const RankPlace place = *place_by_environment();
  if (cuda::device_count() == 0) {
    user_error(
        "RANK and WORLD_SIZE in the environment ask for ranks on GPUs, and this host has none that "
        "the program can use; start CPU ranks with --ranks or mpirun, or unset WORLD_SIZE");
  }
  const RankOf who{place.rank, place.ranks};
  const auto share = [&](std::span<char> bytes) {
    if (const char* path = std::getenv(kIdFile)) {
      share_by_file(who, path, bytes, options.timeout_seconds);
      return;
    }
    // torchrun itself listens at MASTER_PORT.
    const char* torchrun = std::getenv("TORCHELASTIC_USE_AGENT_STORE");
    const bool taken = torchrun != nullptr && std::string(torchrun) == "True";
    share_by_tcp(who, std::getenv("MASTER_ADDR"), *number_of("MASTER_PORT") + (taken ? 1 : 0),
                 bytes, options.timeout_seconds);
  };
  return nccl_group({place.rank, place.ranks, find_device(gpu_of_rank()), share, nullptr}, options);
}

// An MPI that the launcher cannot speak to makes every process a group of one.
std::shared_ptr<Communicator> joined_group(const RankPlace& place, const GroupOptions& options) {
  auto group = mpi_group(options);
  if (group->size() == place.ranks) return group;
  user_error(
      "the launcher started {} ranks, and MPI knows of {}: it was built for another launcher; "
      "start with the mpirun of that MPI, or srun --mpi=pmix",
      place.ranks, group->size());
}

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

// What each rank says, in their order.
std::vector<std::string> texts_of(Communicator& group, const std::string& own) {
  const std::vector<std::int32_t> letters(own.begin(), own.end());
  const auto length = static_cast<std::int64_t>(letters.size());
  std::vector<std::string> out;
  for (const Tensor& theirs : group.all_gather(Tensor::from(letters, {length}))) {
    const auto text = theirs.span<std::int32_t>();
    out.emplace_back(text.begin(), text.end());
  }
  return out;
}

// The root tells at once. The same mistake is often found by all ranks: the others give it the time
// to end the job before they speak for themselves.
int end_all(const char* name, Communicator& group) {
  std::string who = name;
  if (!group.is_root()) {
    std::this_thread::sleep_for(std::chrono::seconds(3));
    who += fmt::format(", rank {} on {}", group.rank(), host_name());
  }
  const int code = report_failure(who.c_str());
  std::fflush(nullptr);
  group.abandon(code);
  return code;
}

int run_as_rank(const char* name, const std::shared_ptr<Communicator>& group,
                const RankBody& body) {
  try {
    const int code = body(group);
    group->close();
    return code;
  } catch (...) {
    return end_all(name, *group);
  }
}

}  // namespace

void RankArguments::add_to(CLI::App& app) {
  app.add_option("--ranks", ranks, "processes that share each batch, started with mpirun")
      ->check(CLI::Range(1, 4096).description(""));
  app.add_option("--rank-timeout", timeout_seconds,
                 "seconds after which a silent rank ends the job")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 1e6).description(""));
  app.add_option("--sums", sums,
                 "how ranks add gradients: ordered (the same bits every time) or library")
      ->capture_default_str();
}

GroupOptions RankArguments::group_options() const {
  if (std::isnan(timeout_seconds))
    user_error("--rank-timeout must be a number of seconds, got nan");
  if (sums != "ordered" && sums != "library") {
    user_error("--sums must be ordered or library, got '{}'", sums);
  }
  return {.order = sums == "ordered" ? SumOrder::ranks : SumOrder::library,
          .timeout_seconds = timeout_seconds};
}

std::optional<RankPlace> place_by_launcher() {
  struct Launcher {
    const char *rank, *ranks, *local;
  };
  // Of a launcher inside another one (mpirun in a job of Slurm) the inner one's numbers count.
  constexpr Launcher kLaunchers[] = {
      {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},  // mpirun
      {"PMIX_RANK", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"},  // srun --mpi=pmix
      {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"},             // MPICH's mpirun
  };
  for (const Launcher& launcher : kLaunchers) {
    const auto own = number_of(launcher.rank), all = number_of(launcher.ranks);
    if (own && all) return RankPlace{*own, *all, number_of(launcher.local).value_or(*own)};
  }
  return std::nullopt;
}

std::optional<RankPlace> place_by_environment() {
  const auto rank = number_of("RANK"), ranks = number_of("WORLD_SIZE");
  const bool met = (std::getenv("MASTER_ADDR") != nullptr && number_of("MASTER_PORT")) ||
                   std::getenv(kIdFile) != nullptr;
  if (!rank || !ranks || *ranks < 2 || !met) return std::nullopt;
  return RankPlace{*rank, *ranks, number_of("LOCAL_RANK").value_or(*rank)};
}

std::string device_of_rank(const std::string& own_wish, Communicator& group) {
  const std::vector<std::string> wishes = texts_of(group, own_wish);
  const auto open = [](const std::string& wish) { return wish == "auto" || wish == "cuda"; };
  if (std::none_of(wishes.begin(), wishes.end(), open)) return own_wish;
  const std::string wanted = wishes.front();
  if (!open(wanted)) return wanted;
  const std::string gpu = gpu_of_rank();
  if (place_by_environment_alone()) return gpu;
  const auto place = place_by_launcher();
  const Tensor able =
      Tensor::from<std::int32_t>({has_own_gpu(place ? place->local_rank : 0, gpu) ? 1 : 0}, {1});
  group.all_reduce_sum(able);
  const std::int32_t count = able.to_vector<std::int32_t>()[0];
  if (count == group.size()) return gpu;
  if (wanted == "auto") return "cpu";
  user_error("--device cuda gives every rank a GPU of its own, and {} of {} ranks have none",
             group.size() - count, group.size());
}

std::shared_ptr<Communicator> group_for(Device device, const std::shared_ptr<Communicator>& group,
                                        const GroupOptions& options) {
  if (!device.is_cuda() || group->size() == 1 || place_by_environment_alone()) return group;
  const auto share = [&](std::span<char> bytes) {
    const auto count = static_cast<std::int64_t>(bytes.size());
    const Tensor told = Tensor::empty({count}, DType::u8);
    std::memcpy(told.raw(), bytes.data(), bytes.size());
    group->broadcast(told, 0);
    std::memcpy(bytes.data(), told.raw(), bytes.size());
  };
  return nccl_group({group->rank(), group->size(), device, share, group}, options);
}

int run_ranks(const char* name, const RankArguments& arguments, int argc, char** argv,
              const RankBody& body, const std::function<void(int ranks)>& expect) {
  const GroupOptions options = arguments.group_options();
  const std::optional<RankPlace> place = place_by_launcher();
  const RankBody checked = [&](const std::shared_ptr<Communicator>& group) {
    if (expect) expect(group->size());
    return body(group);
  };
  if (place && place->ranks > 1 && arguments.ranks > 0 && arguments.ranks != place->ranks) {
    user_error("--ranks {} under a launcher that started {}; leave --ranks out", arguments.ranks,
               place->ranks);
  }
  if (place_by_environment_alone())
    return run_as_rank(name, group_by_environment(options), checked);
  if (place && place->ranks > 1) return run_as_rank(name, joined_group(*place, options), checked);
  if (arguments.ranks <= 1) return checked(single_process());
  if (expect) expect(arguments.ranks);
  if (!mpi_built()) mpi_group(options);  // says what is missing
  return launch_ranks(name, arguments.ranks, argc, argv);
}

int ranks_on_this_host(Communicator& group) {
  // Machines made from one image may share a name.
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string own = host_name(), boot;
  if (std::getline(file, boot)) own += " " + boot;
  const std::vector<std::string> hosts = texts_of(group, own);
  return static_cast<int>(std::count(hosts.begin(), hosts.end(), own));
}

std::string rank_table(Communicator& group, const std::string& device) {
  std::string out = fmt::format("{:<6}{:<24}{}\n", "rank", "host", "device");
  int rank = 0;
  for (const std::string& place : texts_of(group, host_name() + "\t" + device)) {
    const std::size_t tab = place.find('\t');
    out += fmt::format("{:<6}{:<24}{}\n", rank++, place.substr(0, tab), place.substr(tab + 1));
  }
  return out;
}

}  // namespace slotwise
