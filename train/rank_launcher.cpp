#include "train/rank_launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "core/error.h"
#include "train/interrupt.h"
#include "train/ranks.h"

namespace slotwise {
namespace {

constexpr const char* kTerminal = "SLOTWISE_TERMINAL";  // set: standard output is one

std::vector<std::string> command(int ranks, int argc, char** argv) {
  std::vector<std::string> words = mpirun_words();
  words.insert(words.end(), {"-n", std::to_string(ranks),
                             std::filesystem::read_symlink("/proc/self/exe").string()});
  words.insert(words.end(), argv + 1, argv + argc);
  return words;
}

bool starts_with_one_of(const std::string& text, const std::vector<const char*>& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](const char* each) { return text.starts_with(each); });
}

// Of the ranks: this one's without what would make mpirun take itself for a rank of the launcher
// that started this program, or look for a job's other hosts.
std::vector<std::string> environment_of_ranks() {
  std::vector<const char*> dropped = {
      "SLURM_", "OMP_NUM_THREADS=", "SLOTWISE_PARENT="};  // the ranks' parent is mpirun
  if (place_by_launcher()) dropped.insert(dropped.end(), {"OMPI_", "PMIX_", "PMI_", "MPI_LOCAL"});
  std::vector<std::string> out = {"OMP_NUM_THREADS=1"};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!starts_with_one_of(*entry, dropped)) out.emplace_back(*entry);
  }
  if (isatty(STDOUT_FILENO) == 1) out.push_back(std::string(kTerminal) + "=1");
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) out.emplace_back("OMP_WAIT_POLICY=passive");
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

struct Started {
  pid_t process = -1;
  int error_pipe = -1;
};

// In a process group of its own, so that Ctrl-C reaches this process alone, which passes it on.
Started start(std::vector<std::string> words) {
  int ends[2] = {};
  if (pipe2(ends, O_CLOEXEC) != 0) fail("pipe: {}", std::strerror(errno));
  std::vector<std::string> variables = environment_of_ranks();
  const std::vector<char*> arguments = pointers(words), environment = pointers(variables);
  std::fflush(nullptr);
  const pid_t process = fork();
  if (process < 0) fail("fork: {}", std::strerror(errno));
  if (process == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpgid(0, 0);
    dup2(ends[1], STDERR_FILENO);
    const int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
    execvpe(arguments[0], arguments.data(), environment.data());
    std::fprintf(stderr, "cannot start mpirun: %s; install openmpi-bin\n", std::strerror(errno));
    _exit(127);
  }
  close(ends[1]);
  return {process, ends[0]};
}

// Tells what the ranks say on standard error from mpirun's own banners, which stand between lines
// of dashes.
class ErrorText {
 public:
  void take(const char* bytes, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      if (bytes[i] == '\n') {
        take_line();
      } else if (bytes[i] != '\0') {  // OpenMPI 5 ends some of its lines with one
        line_ += bytes[i];
      }
    }
  }
  void finish() {
    if (!line_.empty()) take_line();
  }
  // A rank that a signal ended, in mpirun's words.
  struct Killed {
    int rank, signal;
  };
  std::optional<Killed> killed() const {
    const std::regex told("process rank ([0-9]+) with PID.* exited on signal ([0-9]+)");
    std::smatch match;
    if (!std::regex_search(banners_, match, told)) return std::nullopt;
    return Killed{std::stoi(match[1]), std::stoi(match[2])};
  }
  bool passed_on() const { return passed_on_; }
  const std::string& banners() const { return banners_; }

 private:
  void take_line() {
    const bool edge = line_.size() > 60 && line_.find_first_not_of('-') == std::string::npos;
    if (edge) {
      inside_ = !inside_;
    } else if (inside_) {
      banners_ += line_ + " ";
    } else if (!line_.empty() && !line_.starts_with("mpirun: Forwarding signal") &&
               line_.find("ORTE_ERROR_LOG") == std::string::npos) {
      std::fprintf(stderr, "%s\n", line_.c_str());
      passed_on_ = true;
    }
    line_.clear();
  }

  std::string line_, banners_;
  bool inside_ = false, passed_on_ = false;
};

void pass_on(const Started& started, ErrorText& text) {
  bool told = false;
  char buffer[4096];
  while (true) {
    if (interrupted() && !told) {
      kill(started.process, SIGUSR1);
      told = true;
    }
    pollfd waiting{started.error_pipe, POLLIN, 0};
    if (poll(&waiting, 1, 100) <= 0) continue;
    const ssize_t count = read(started.error_pipe, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    text.take(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace

std::vector<std::string> mpirun_words() {
  return {"mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--mca",
          "mpi_yield_when_idle", "1",
          // Shared memory is enough, and a strange network nothing to complain of.
          "--mca", "btl", "^tcp",
          // Not every container lets ranks read one another's memory.
          "--mca", "btl_vader_single_copy_mechanism", "none"};
}

bool writes_to_terminal() {
  if (place_by_launcher()) return std::getenv(kTerminal) != nullptr;
  return isatty(STDOUT_FILENO) == 1;
}

int launch_ranks(const char* name, int ranks, int argc, char** argv) {
  const Started started = start(command(ranks, argc, argv));
  ErrorText text;
  pass_on(started, text);
  text.finish();
  close(started.error_pipe);
  int status = 0;
  while (waitpid(started.process, &status, 0) < 0 && errno == EINTR) {
  }
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (code == 0 || code == 130) return code;
  if (const auto killed = text.killed()) {
    std::fprintf(stderr,
                 "%s: rank %d was ended by signal %d (%s), so the others were stopped; the same "
                 "command goes on from the last checkpoint, where there is one\n",
                 name, killed->rank, killed->signal, strsignal(killed->signal));
  } else if (!text.passed_on()) {
    const std::string why = text.banners().empty() ? "without a word" : text.banners();
    std::fprintf(stderr, "%s: mpirun ended with exit code %d: %s\n", name, code, why.c_str());
  }
  return code < 128 ? code : 1;
}

}  // namespace slotwise
