#include "train/interrupt.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

namespace slotwise {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

void note(int signal) {
  g_interrupted = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void catch_interrupts() {
  std::signal(SIGINT, note);
  std::signal(SIGTERM, note);
  std::signal(SIGUSR1, note);
  std::signal(SIGHUP, note);  // the terminal was closed
  // Started by a sweep: what kills that, however, stops this run, too (it saves and can go on).
  if (const char* parent = std::getenv("SLOTWISE_PARENT")) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (std::to_string(getppid()) != parent) g_interrupted = 1;
  }
}

bool interrupted() {
  return g_interrupted != 0;
}

void note_interrupt() {
  g_interrupted = 1;
}

void throw_if_interrupted() {
  if (interrupted()) throw Interrupted();
}

}  // namespace slotwise
