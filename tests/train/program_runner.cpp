#include "tests/train/program_runner.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "core/error.h"

namespace slotwise::testing {
namespace {

std::string read_all(std::FILE* file) {
  std::rewind(file);
  std::string text;
  char buffer[4096];
  while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, file)) {
    text.append(buffer, count);
  }
  return text;
}

std::vector<char*> pointers(Words& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

// Idle threads must not spin: the tests may share few cores. A GPU is seen only by programs that
// are told to use it, so that all others run alike everywhere.
// MPI keeps some memory to the end, which is no leak of ours.
Words environment(int threads, bool with_gpu, bool with_ranks) {
  Words out = {fmt::format("OMP_NUM_THREADS={}", threads), "OMP_WAIT_POLICY=passive"};
  if (!with_gpu) out.push_back("CUDA_VISIBLE_DEVICES=");
  if (with_ranks) out.push_back("ASAN_OPTIONS=detect_leaks=0");
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const bool hidden = !with_gpu && text.rfind("CUDA_VISIBLE_DEVICES=", 0) == 0;
    if (text.rfind("OMP_", 0) != 0 && !hidden) out.push_back(text);
  }
  return out;
}

}  // namespace

std::filesystem::path program_path(const std::string& program) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / ("slotwise-" + program);
}

RunningProgram::RunningProgram(const std::string& program, const Words& arguments, int threads)
    : RunningProgram(Words{program_path(program).string()} + arguments, threads) {}

RunningProgram::RunningProgram(Words command, int threads)
    : out_(std::tmpfile(), &std::fclose), error_(std::tmpfile(), &std::fclose) {
  const auto has = [&](const char* word) {
    return std::count(command.begin(), command.end(), word) > 0;
  };
  const bool starts_ranks =
      has("--ranks") || has("mpirun") || command[0].find("two_hosts") != command[0].npos;
  Words variables = environment(threads, has("cuda"), starts_ranks);
  const std::vector<char*> argv = pointers(command), envp = pointers(variables);
  process_ = ::fork();
  if (process_ < 0) fail("fork failed");
  if (process_ == 0) {
    ::dup2(::fileno(out_.get()), STDOUT_FILENO);
    ::dup2(::fileno(error_.get()), STDERR_FILENO);
    ::execvpe(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
}

RunningProgram::~RunningProgram() {
  if (process_ < 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

void RunningProgram::interrupt() const {
  if (process_ > 0) ::kill(process_, SIGTERM);
}

void RunningProgram::take_status(int status) {
  process_ = -1;
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool RunningProgram::ended() {
  int status = 0;
  if (process_ > 0 && ::waitpid(process_, &status, WNOHANG) == process_) take_status(status);
  return process_ < 0;
}

Finished RunningProgram::wait() {
  int status = 0;
  if (process_ > 0 && ::waitpid(process_, &status, 0) == process_) take_status(status);
  return {code_, read_all(out_.get()), read_all(error_.get())};
}

Finished run_program(const std::string& program, const Words& arguments, int threads) {
  return RunningProgram(program, arguments, threads).wait();
}

Finished run_command(const Words& command, int threads) {
  return RunningProgram(command, threads).wait();
}

Finished run_well(const std::string& program, const Words& arguments, int threads) {
  Finished done = run_program(program, arguments, threads);
  EXPECT_EQ(done.code, 0) << "slotwise-" << program << ": " << done.error;
  return done;
}

Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace slotwise::testing
