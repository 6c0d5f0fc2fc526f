// In place of communicator_mpi.cpp where the build has no MPI.
#include "core/communicator.h"

namespace slotwise {

bool mpi_built() {
  return false;
}

std::shared_ptr<Communicator> mpi_group(const GroupOptions&) {
  user_error(
      "several ranks need MPI, and this build has none; install libopenmpi-dev and openmpi-bin and "
      "configure again, or run one rank");
}

}  // namespace slotwise
