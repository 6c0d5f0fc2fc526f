// Ctrl-C and SIGTERM ask a run to save its state and stop; a second one kills as usual.
#pragma once

namespace slotwise {

void catch_interrupts();
bool interrupted();

}  // namespace slotwise
