// Ctrl-C, SIGTERM and SIGUSR1 (what mpirun and Slurm pass on) ask a run to save its state and stop;
// a second one kills as usual.
#pragma once

#include <exception>

namespace slotwise {

void catch_interrupts();
bool interrupted();
void note_interrupt();  // as if the signal had come: another rank got it

// Leaves work that has no state of its own to save: an evaluation, a measurement.
struct Interrupted : std::exception {
  const char* what() const noexcept override { return "interrupted"; }
};
void throw_if_interrupted();

}  // namespace slotwise
