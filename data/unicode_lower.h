// Lower case of a single Unicode character, independent of the locale. What depends on its
// neighbours (the final sigma) or becomes two characters (the dotted capital I) is up to the
// caller.
#pragma once

namespace slotwise {

char32_t lower_code_point(char32_t code_point);

}  // namespace slotwise
