"""AWS's services over the lightest correct path: own HTTP and signatures, nothing done twice."""
