"""`deepexp3d review`: a page in the browser on which people judge fits, try photographs and release networks."""
