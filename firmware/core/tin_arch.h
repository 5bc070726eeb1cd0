/* Chooses the primitives that kernels are built from. A target names its header; plain C is the default.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIN_ARCH_H
#define TIN_ARCH_H

#ifndef TIN_ARCH_HEADER
#define TIN_ARCH_HEADER "arch/portable.h"
#endif
#include TIN_ARCH_HEADER

#endif /* TIN_ARCH_H */
