# Turns what NAME.json says about building into NAME.flags, which compilers read as @NAME.flags, and NAME_kernels.h,
# which is included in front of the kernels: cmake -D NAME=... -D FOLDER=... -P settings.cmake
#
# SPDX-License-Identifier: Apache-2.0
file(READ ${FOLDER}/${NAME}.json plan)
string(JSON flag GET ${plan} flag)
string(JSON count LENGTH ${plan} defines)
set(header "/* Kernels for ${NAME}, built with ${flag}, without the parts that it does not use. */\n")
if(count)
    math(EXPR last "${count} - 1")
    foreach(index RANGE ${last})
        string(JSON define GET ${plan} defines ${index})
        string(REPLACE "=" " " define ${define})
        string(APPEND header "#define ${define}\n")
    endforeach()
endif()
file(WRITE ${FOLDER}/${NAME}.flags "${flag}\n")
file(WRITE ${FOLDER}/${NAME}_kernels.h "${header}")
